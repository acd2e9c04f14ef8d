"""The kernel's wall clock against the monotonic one, on clocks that are moved by hand."""

from __future__ import annotations

from bench.wire.clock import KernelClock

MS = 1_000_000


class Clocks:
    """A wall clock `ahead` of a monotonic one; each look takes a microsecond."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self._now = 1_000 * MS

    def steady(self) -> int:
        self._now += 500
        return self._now

    def wall(self) -> int:
        self._now += 500
        return self._now + self.ahead

    def wait(self, ns: int) -> None:
        self._now += ns


def test_the_error_of_the_offset_is_half_the_time_of_the_measurement() -> None:
    clocks = Clocks(ahead=5_000 * MS)
    clock = KernelClock(clocks.wall, clocks.steady)
    assert abs(clock.offset_ns - clocks.ahead) <= clock.error_ns <= 1000


def test_a_drifting_clock_is_followed_and_the_drift_counts_as_error() -> None:
    clocks = Clocks(ahead=0)
    clock = KernelClock(clocks.wall, clocks.steady)
    clocks.wait(10 * MS)
    clocks.ahead += 5_000  # 0.05 %
    assert clock.refresh() is None
    assert abs(clock.offset_ns - clocks.ahead) <= 1000
    assert clock.error_ns >= 5_000


def test_setting_the_clock_is_a_step_of_that_size() -> None:
    clocks = Clocks(ahead=0)
    clock = KernelClock(clocks.wall, clocks.steady)
    clocks.wait(10 * MS)
    clocks.ahead += 30 * MS
    step = clock.refresh()
    assert step is not None
    assert abs(step - 30 * MS) <= 2000
    assert clock.refresh() is None
