"""How late an engine's clock fires: the part of each latency that the process added, not the model."""

from __future__ import annotations

from collections import deque

_WINDOW = 4096


class LagMeter:
    """Percentiles over the last few thousand firings, in seconds, and the maximum since the start."""

    def __init__(self) -> None:
        self._recent_s: deque[float] = deque(maxlen=_WINDOW)
        self._max_s = 0.0

    def add(self, lag_s: float) -> None:
        self._recent_s.append(lag_s)
        if lag_s > self._max_s:
            self._max_s = lag_s

    def summary(self) -> dict[str, float]:
        """Empty if nothing has been timed."""
        ordered = sorted(self._recent_s)
        if not ordered:
            return {}
        last = len(ordered) - 1
        return {"p50": ordered[round(0.5 * last)], "p99": ordered[round(0.99 * last)], "max": self._max_s}
