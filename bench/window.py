"""How many requests were open when, and over which span of the run the load was the one that was asked for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bench.stats import Ints

# Dips below this share of the asked concurrency are part of the steady window, its ends are not.
STEADY_SHARE = 0.95


class Span(NamedTuple):
    """From `begin_ns` up to, not including, `end_ns` (monotonic)."""

    begin_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.begin_ns


def overlap_ns(begin_ns: Ints, end_ns: Ints, span: Span) -> Ints:
    """How much of each interval lies inside the span."""
    inside: Ints = np.minimum(end_ns, span.end_ns) - np.maximum(begin_ns, span.begin_ns)
    return np.maximum(inside, 0)


def mean_concurrency(begin_ns: Ints, end_ns: Ints, span: Span) -> float:
    """The time average of the number of open intervals."""
    return float(overlap_ns(begin_ns, end_ns, span).sum() / span.length_ns)


def steady_span(begin_ns: Ints, end_ns: Ints, streams: int, load: Span) -> Span | None:
    """From the first to the last crossing of 95 % of the asked concurrency, within the time of sending.

    None when so many requests were never open at once.
    """
    stamps = np.concatenate((begin_ns, end_ns))
    steps = np.concatenate((np.ones(len(begin_ns), np.int64), np.full(len(end_ns), -1, np.int64)))
    order = np.lexsort((steps, stamps))  # at one and the same moment, those that end leave first
    stamps, open_now = stamps[order], np.cumsum(steps[order])
    reached = np.flatnonzero(open_now >= math.ceil(STEADY_SHARE * streams))
    if len(reached) == 0:
        return None
    first, last = int(reached[0]), int(reached[-1])
    begin = max(int(stamps[first]), load.begin_ns)
    end = min(int(stamps[min(last + 1, len(stamps) - 1)]), load.end_ns)
    return Span(begin, end) if end > begin else None
