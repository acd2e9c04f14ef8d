"""How many requests were open when, and over which span of the run the load was the one that was asked for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bench.arrays import Bools, Ints

# Dips below this share of the asked concurrency are part of the steady window, its ends are not.
STEADY_SHARE = 0.95


class Span(NamedTuple):
    """From `begin_ns` up to, not including, `end_ns` (monotonic)."""

    begin_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.begin_ns

    def contains(self, ns: Ints) -> Bools:
        """Which moments lie inside."""
        inside: Bools = (ns >= self.begin_ns) & (ns < self.end_ns)
        return inside


def overlap_ns(begin_ns: Ints, end_ns: Ints, span: Span) -> Ints:
    """How much of each interval lies inside the span."""
    inside: Ints = np.minimum(end_ns, span.end_ns) - np.maximum(begin_ns, span.begin_ns)
    return np.maximum(inside, 0)


def mean_concurrency(begin_ns: Ints, end_ns: Ints, span: Span) -> float:
    """The time average of the number of open intervals."""
    return float(overlap_ns(begin_ns, end_ns, span).sum() / span.length_ns)


def burst_end_ns(end_ns: Ints, streams: int) -> int | None:
    """When the requests with which the streams began together had passed, given when each of them ended.

    As many as may be missing from the asked concurrency, but one at least, may still be going on: a single long answer
    holds nothing up, and a single stream began with no other. None where no request has to have ended for that.
    """
    still = max(1, streams - enough_streams(streams))
    passed = len(end_ns) - still
    return int(np.sort(end_ns)[passed - 1]) if passed > 0 else None


def enough_streams(streams: int) -> int:
    """So many streams have to be open for the load to be the one that was asked for."""
    return math.ceil(STEADY_SHARE * streams)


def steady_span(
    begin_ns: Ints, end_ns: Ints, streams: int, load: Span, burst_ended_ns: int | None = None
) -> Span | None:
    """From the first to the last crossing of 95 % of the asked concurrency, within the time of sending.

    It does not begin before `burst_ended_ns`. None when so many requests were never open at once from then on.
    """
    stamps = np.concatenate((begin_ns, end_ns))
    steps = np.concatenate((np.ones(len(begin_ns), np.int64), np.full(len(end_ns), -1, np.int64)))
    order = np.lexsort((steps, stamps))  # at one and the same moment, those that end leave first
    stamps, open_now = stamps[order], np.cumsum(steps[order])
    reached = np.flatnonzero(open_now >= enough_streams(streams))
    if len(reached) == 0:
        return None
    first, last = int(reached[0]), int(reached[-1])
    begin = max(int(stamps[first]), load.begin_ns, load.begin_ns if burst_ended_ns is None else burst_ended_ns)
    end = min(int(stamps[min(last + 1, len(stamps) - 1)]), load.end_ns)
    return Span(begin, end) if end > begin else None
