"""How many requests were open at any time, and during which span the load was as requested."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bench.arrays import Bools, Ints

# The steady window begins and ends at this share of the requested concurrency; dips in between belong to it.
STEADY_SHARE = 0.95


class Span(NamedTuple):
    """From `begin_ns` up to but not including `end_ns` (monotonic)."""

    begin_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.begin_ns

    def contains(self, ns: Ints) -> Bools:
        """Which moments are inside."""
        inside: Bools = (ns >= self.begin_ns) & (ns < self.end_ns)
        return inside


def overlap_ns(begin_ns: Ints, end_ns: Ints, span: Span) -> Ints:
    """How much of each interval is inside the span."""
    inside: Ints = np.minimum(end_ns, span.end_ns) - np.maximum(begin_ns, span.begin_ns)
    return np.maximum(inside, 0)


def mean_concurrency(begin_ns: Ints, end_ns: Ints, span: Span) -> float:
    """The average number of open intervals over time."""
    return float(overlap_ns(begin_ns, end_ns, span).sum() / span.length_ns)


def burst_end_ns(end_ns: Ints, streams: int) -> int | None:
    """When the first burst was over: the requests with which the streams began together, given when each ended.

    As many requests as may be missing from the requested concurrency may still be in progress, and at least one, so
    that a single long answer does not delay the end of the burst. None if no request needs to have ended, as with a
    single stream.
    """
    still = max(1, streams - enough_streams(streams))
    passed = len(end_ns) - still
    return int(np.sort(end_ns)[passed - 1]) if passed > 0 else None


def enough_streams(streams: int) -> int:
    """How many streams must be open for the load to be as requested."""
    return math.ceil(STEADY_SHARE * streams)


def steady_span(
    begin_ns: Ints, end_ns: Ints, streams: int, load: Span, burst_ended_ns: int | None = None
) -> Span | None:
    """From the first to the last crossing of 95 % of the requested concurrency, within the time of sending.

    It does not begin before `burst_ended_ns`. None if so many requests were never open together after that.
    """
    stamps = np.concatenate((begin_ns, end_ns))
    steps = np.concatenate((np.ones(len(begin_ns), np.int64), np.full(len(end_ns), -1, np.int64)))
    order = np.lexsort((steps, stamps))  # of events at the same moment, ends come first
    stamps, open_now = stamps[order], np.cumsum(steps[order])
    reached = np.flatnonzero(open_now >= enough_streams(streams))
    if len(reached) == 0:
        return None
    first, last = int(reached[0]), int(reached[-1])
    begin = max(int(stamps[first]), load.begin_ns, load.begin_ns if burst_ended_ns is None else burst_ended_ns)
    end = min(int(stamps[min(last + 1, len(stamps) - 1)]), load.end_ns)
    return Span(begin, end) if end > begin else None
