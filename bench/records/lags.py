"""Delays counted in narrow bins: how late the client of a long run was."""

from __future__ import annotations

import math

import msgspec

# Bins of 2**14 ns (16.4 µs) up to 67 ms; the last one holds all longer delays.
BIN_SHIFT = 14
BINS = 4096
_BIN_MS = (1 << BIN_SHIFT) / 1e6


class Lags(msgspec.Struct, kw_only=True):
    """How many delays each bin of 16.4 µs holds, by its number, and the largest delay."""

    bins: dict[int, int] = {}
    max_ms: float = 0.0

    @property
    def n(self) -> int:
        return sum(self.bins.values())

    def percentile_ms(self, percent: float) -> float | None:
        """The upper edge of the bin with the percentile, but at most the largest delay; None without delays."""
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
    """Counts delays. Callers may increment `bins` directly for delays that fit."""

    def __init__(self) -> None:
        self.bins = [0] * BINS
        self._max_ns = 0

    def clear(self) -> None:
        """Start over; `bins` stays the same list."""
        self.bins[:] = [0] * BINS
        self._max_ns = 0

    def add(self, lag_ns: int) -> None:
        """Count one delay of any size."""
        self.bins[min(lag_ns >> BIN_SHIFT, BINS - 1)] += 1
        self._max_ns = max(self._max_ns, lag_ns)

    def lags(self) -> Lags:
        """The delays counted so far."""
        found = {number: count for number, count in enumerate(self.bins) if count}
        largest = max(found, default=-1)
        edge_ms = (largest + 1) * _BIN_MS if largest < BINS - 1 else 0.0
        return Lags(bins=found, max_ms=max(self._max_ns / 1e6, edge_ms))
