"""Finds the spans of a run that figures cover: the whole run, and the part in which the load was steady. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.figures.request_table import RequestTable
from bench.figures.window import Span, burst_end_ns, steady_span
from bench.records.run import Run
from bench.units import NS_PER_MS, NS_PER_S


class Windows(NamedTuple):
    """The whole run, and the steady window if there is one.

    `left_s` is how long the load was as requested. A steady window must be at least `needed_s` long, which is the time
    that a request takes on average.
    """

    whole: Span
    steady: Span | None
    left_s: float = 0.0
    needed_s: float | None = None

    @property
    def headline(self) -> Span:
        """The window of the headline figures."""
        return self.steady or self.whole


def find_windows(run: Run, requests: RequestTable) -> Windows | None:
    """Find the windows of a run; None if nothing was sent."""
    whole = _whole_span(run, requests)
    if whole is None:
        return None
    load = _load_span(run, requests, whole)
    process = run.load.arrival_process
    if process is None:
        wanted = _at_full_concurrency(run, requests, load)
    else:
        steady = process.steady_ns(load.begin_ns, load.end_ns)
        wanted = None if steady is None else Span(*steady)
    completed = requests.completed
    needed_ms = float(np.nanmean(requests.figure("e2e").ms[completed])) if completed.any() else None
    left_ns = 0 if wanted is None else max(wanted.length_ns, 0)
    if wanted is None or needed_ms is None or left_ns < needed_ms * NS_PER_MS or not _ends_in(requests, wanted):
        return Windows(whole, None, left_ns / NS_PER_S, None if needed_ms is None else needed_ms / 1000)
    return Windows(whole, wanted, left_ns / NS_PER_S, needed_ms / 1000)


def _whole_span(run: Run, requests: RequestTable) -> Span | None:
    """From the start of the load up to and including the end of its last request."""
    if len(requests) == 0:
        return None
    begin = int(requests.times.sched_ns.min()) if run.begun_ns is None else run.begun_ns
    end = int(requests.times.end_ns.max()) + 1  # a span does not contain its end
    return Span(begin, max(end, begin + 1, begin if run.stopped_ns is None else run.stopped_ns))


def _load_span(run: Run, requests: RequestTable, whole: Span) -> Span:
    """The time of sending. In a run that was killed, it ends at the last planned start."""
    return Span(whole.begin_ns, int(requests.times.sched_ns.max()) if run.stopped_ns is None else run.stopped_ns)


def _at_full_concurrency(run: Run, requests: RequestTable, load: Span) -> Span | None:
    """The time during which a closed loop kept its streams busy, after its first, simultaneous requests."""
    streams = run.load.streams or 1
    began_together = requests.times.sched_ns == load.begin_ns
    burst_ended_ns = burst_end_ns(requests.times.free_ns[began_together], streams)
    return steady_span(requests.times.begun_ns, requests.times.free_ns, streams, load, burst_ended_ns)


def _ends_in(requests: RequestTable, span: Span) -> bool:
    """Whether any answer was completed in the span."""
    return bool((requests.completed & span.contains(requests.times.last_ns)).any())
