"""Delays counted in narrow bins: what a long run keeps of how late its client was."""

from __future__ import annotations

import math

import msgspec

# Bins of 2**14 ns, 16.4 µs, up to 67 ms; the last one holds all beyond.
BIN_SHIFT = 14
BINS = 4096
_BIN_MS = (1 << BIN_SHIFT) / 1e6


class Lags(msgspec.Struct, kw_only=True):
    """Delays by bin of 16.4 µs (its number and how many), and the largest."""

    bins: dict[int, int] = {}
    max_ms: float = 0.0

    @property
    def n(self) -> int:
        return sum(self.bins.values())

    def percentile_ms(self, percent: float) -> float | None:
        """The upper edge of the bin in which the percentile lies, at most the largest delay; None without any."""
        n = self.n
        if n == 0:
            return None
        left = math.ceil(percent / 100 * n)
        for number, count in sorted(self.bins.items()):
            left -= count
            if left <= 0:
                return self.max_ms if number == BINS - 1 else min((number + 1) * _BIN_MS, self.max_ms)
        return self.max_ms


class LagCounter:
    """Counts delays as they come. `bins` may be counted into directly for delays that fit."""

    def __init__(self) -> None:
        self.bins = [0] * BINS
        self._max_ns = 0

    def clear(self) -> None:
        """Begin anew; `bins` stays the same list."""
        self.bins[:] = [0] * BINS
        self._max_ns = 0

    def add(self, lag_ns: int) -> None:
        """Count one, whatever its size."""
        self.bins[min(lag_ns >> BIN_SHIFT, BINS - 1)] += 1
        self._max_ns = max(self._max_ns, lag_ns)

    def lags(self) -> Lags:
        """What was counted."""
        found = {number: count for number, count in enumerate(self.bins) if count}
        largest = max(found, default=-1)
        edge_ms = (largest + 1) * _BIN_MS if largest < BINS - 1 else 0.0
        return Lags(bins=found, max_ms=max(self._max_ns / 1e6, edge_ms))
