"""A histogram of durations with three significant digits, for samples too large to keep.

The buckets are those of HdrHistogram: 1,024 linear steps within each power of two, so that a bucket is never wider
than a thousandth of its value. Values are whole nanoseconds, from 1 ns to 104 days.
"""

from __future__ import annotations

import numpy as np

from bench.arrays import Floats, Ints
from bench.units import NS_PER_MS

_STEP_BITS = 10
_STEPS = 1 << _STEP_BITS
_MOST_BITS = 53


class Histogram:
    """Counts values in milliseconds."""

    def __init__(self) -> None:
        self.counts: Ints = np.zeros((_MOST_BITS - _STEP_BITS + 1) * _STEPS, dtype=np.int64)

    def add(self, values_ms: Floats) -> None:
        """Count values; negative ones count as 0."""
        ns = np.clip(np.rint(values_ms * NS_PER_MS), 0, 2.0**_MOST_BITS - 1)
        _, exponents = np.frexp(ns)
        shift = np.maximum(exponents.astype(np.int64) - (_STEP_BITS + 1), 0)
        position = (ns.astype(np.int64) >> shift) + shift * _STEPS
        self.counts += np.bincount(position, minlength=len(self.counts))

    def at_rank(self, rank: int) -> float:
        """The value of rank `rank` (from 0): the middle of its bucket."""
        position = int(np.searchsorted(np.cumsum(self.counts), rank, side="right"))
        shift = max(position // _STEPS - 1, 0)
        low = (position - shift * _STEPS) << shift
        return (low + ((1 << shift) - 1) / 2) / NS_PER_MS
