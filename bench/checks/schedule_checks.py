"""Checks when requests were sent, compared with the plan. Pure.

These checks are about the bench. They leave out the time that a server takes to accept a connection or to read a
request; latencies from the schedule include it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.arrays import Bools, Floats
from bench.figures.request_table import RequestTable
from bench.figures.stats import Sorted, percentile
from bench.figures.window import STEADY_SHARE, Span
from bench.records.result import Check, Figures
from bench.records.run import LoadFacts
from bench.units import NS_PER_MS, NS_PER_S, plural
from bench.workload.arrivals import Arrivals, GapCdf

LATENESS_LIMIT_MS = 5.0
LATENESS_SHARE = 0.05  # of the time that a request takes: the same share of streams may be missing
SENT_LIMIT = 0.99
# One correct sample in a thousand exceeds 1.95 / √n (Kolmogorov); the limit is never lower than this.
ARRIVALS_LIMIT = 0.05
CONSTANT_LIMIT_MS = 1.0
_MOST_GAPS = 20_000
_LESS_WORK = "reduce the load, or run fewer other programs on"


def schedule_checks(requests: RequestTable, span: Span, figures: Figures, load: LoadFacts) -> Iterator[Check]:
    """Run these checks over the span of the headline."""
    yield _lateness(requests, span, figures, load)
    if (process := load.arrival_process) is not None:
        yield _sent(requests, span, figures, load)
        yield from _arrivals(requests, span, process)


def _tried(requests: RequestTable) -> Bools:
    """Rows for which the bench did its part: without a connection, nothing can be sent."""
    return requests.times.was_sent | (requests.failed & (requests.times.waited_ns > 0))


def _lateness(requests: RequestTable, span: Span, figures: Figures, load: LoadFacts) -> Check:
    """In a closed loop, a late send only makes the load smaller, so the limit depends on the length of requests."""
    code, limit = "lateness", LATENESS_LIMIT_MS
    if load.plan == "closed":
        limit = max(limit, LATENESS_SHARE * (figures.latency["e2e"].mean or 0.0))
    times = requests.times
    own_lateness_ns = times.begun_ns - times.due_ns
    late = own_lateness_ns[times.was_sent & span.contains(times.send_ns)] / NS_PER_MS
    if len(late) == 0:
        return Check(code=code, status="n/a", text="lateness unknown: nothing was sent in the window")
    ordered = Sorted(late)
    p99 = percentile(ordered, 99).value
    value, which = (ordered.at(ordered.n - 1), "at most") if p99 is None else (p99, "p99")
    passed = value <= limit
    return Check(
        code=code,
        status="pass" if passed else "fail",
        text=f"sent on time ({which} {value:.1f} ms late)"
        if passed
        else f"requests sent up to {value:,.1f} ms late"
        if p99 is None
        else f"requests sent {value:,.1f} ms late at p99",
        value=value,
        limit=limit,
        unit="ms",
        remedy=_at_limit(figures, load) or f"this machine sends late: {_LESS_WORK} it",
    )


def _at_limit(figures: Figures, load: LoadFacts) -> str | None:
    """What to do if an open loop reached its limit, which holds requests back."""
    held, most = figures.mean_concurrency, load.streams
    if load.plan != "open" or most is None or held is None or held < STEADY_SHARE * most:
        return None
    return f"the limit of {plural(most, 'concurrent request')} was reached: raise --max-concurrency, or lower the rate"


def _sent(requests: RequestTable, span: Span, figures: Figures, load: LoadFacts) -> Check:
    """The share of the requests due in the window that were sent in it: the requested and the achieved rate."""
    due = span.contains(requests.times.sched_ns)
    grain_ns = round(LATENESS_LIMIT_MS * NS_PER_MS)  # a request due at the very end may be sent just after it
    on_time = due & _tried(requests) & (requests.times.begun_ns < span.end_ns + grain_ns)
    length_s = span.length_ns / NS_PER_S
    share = float(on_time.sum() / max(due.sum(), 1))
    absent = int((on_time & ~requests.times.was_sent).sum())
    return Check(
        code="rate",
        status="pass" if share >= SENT_LIMIT else "fail",
        text=f"{on_time.sum() / length_s:,.1f} of {due.sum() / length_s:,.1f} planned req/s sent"
        + (f", {absent:,} of them to a server that accepted no connection" if absent else ""),
        value=share,
        limit=SENT_LIMIT,
        unit="share",
        remedy=_at_limit(figures, load) or "the rest went out too late: lower --request-rate",
    )


def _arrivals(requests: RequestTable, span: Span, process: Arrivals) -> Iterator[Check]:
    """Whether the gaps between requests have the distribution of the process, as far as the limit allowed."""
    begun_ns = requests.times.begun_ns - (requests.times.due_ns - requests.times.sched_ns)
    begun = begun_ns[_tried(requests) & span.contains(begun_ns)]
    gaps: Floats = np.diff(np.sort(begun)).astype(np.float64) / NS_PER_S
    if len(gaps) < 20:
        yield Check(code="arrivals", status="n/a", text=f"{len(gaps)} gaps are too few to tell their distribution")
    elif process.even_gap_s is not None:
        yield _evenness(gaps, process.even_gap_s)
    elif process.gap_cdf is not None:
        yield _distribution(gaps, process.gap_cdf, process.name)


def _evenness(gaps: Floats, gap_s: float) -> Check:
    off_ms = float(np.percentile(np.abs(gaps - gap_s), 99) * NS_PER_S / NS_PER_MS)
    return Check(
        code="arrivals",
        status="pass" if off_ms <= CONSTANT_LIMIT_MS else "fail",
        text=f"gaps within {off_ms:.2f} ms of {1000 * gap_s:g} ms (p99)",
        value=off_ms,
        limit=CONSTANT_LIMIT_MS,
        unit="ms",
        remedy=f"this machine sends unevenly: {_LESS_WORK} it",
    )


def _distribution(gaps: Floats, cdf: GapCdf, name: str) -> Check:
    gaps = np.sort(gaps)[:: -(-len(gaps) // _MOST_GAPS)]
    n = len(gaps)
    asked = np.array([cdf(gap) for gap in gaps.tolist()])
    steps = np.arange(n + 1) / n
    distance = float(max((steps[1:] - asked).max(), (asked - steps[:-1]).max()))
    limit = max(ARRIVALS_LIMIT, 1.95 / n**0.5)
    return Check(
        code="arrivals",
        status="pass" if distance <= limit else "fail",
        text=f"gaps {distance:.3f} from {name} (Kolmogorov–Smirnov)",
        value=distance,
        limit=limit,
        unit="distance",
        remedy=f"requests were not sent as drawn: {_LESS_WORK} this machine",
    )
