"""Converts receive stamps from the wall clock to the monotonic clock, and notices when the wall clock is set."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns, time_ns

_TRIES = 3
# A clock under NTP drifts by at most 0.05 %; one that moves faster was set.
_STEP_NS = 100_000
_STEP_SHARE = 0.001


class KernelClock:
    """`offset_ns` is wall clock minus monotonic clock, as of the last `refresh`; `error_ns` bounds its own error."""

    def __init__(self, wall_ns: Callable[[], int] = time_ns, steady_ns: Callable[[], int] = monotonic_ns) -> None:
        self._wall_ns, self._steady_ns = wall_ns, steady_ns
        self.offset_ns, self.error_ns, self._measured_ns = self._measure()

    def refresh(self) -> int | None:
        """Measure again. Returns the size of a step since the last time, or None."""
        offset_ns, error_ns, now_ns = self._measure()
        moved_ns, passed_ns = offset_ns - self.offset_ns, now_ns - self._measured_ns
        self.offset_ns, self._measured_ns = offset_ns, now_ns
        if abs(moved_ns) > _STEP_NS + _STEP_SHARE * passed_ns + error_ns:
            return moved_ns
        self.error_ns = max(self.error_ns, error_ns + abs(moved_ns))
        return None

    def _measure(self) -> tuple[int, int, int]:
        """The offset, its largest possible error, and when it was measured: the most exact of a few tries."""
        best: tuple[int, int, int] | None = None
        for _ in range(_TRIES):
            before, wall, after = self._steady_ns(), self._wall_ns(), self._steady_ns()
            error = (after - before + 1) // 2
            if best is None or error < best[1]:
                best = (wall - before - error, error, after)
        assert best is not None  # noqa: S101 - there is more than one try
        return best
