"""Timers that the kernel rings, to some ten microseconds; an event loop's own count whole milliseconds.

How late the loop answers a ticker is how late it would read a socket.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from time import monotonic_ns

from bench.units import NS_PER_S

# From <sys/timerfd.h>; os.timerfd_create exists from Python 3.13 on.
_TFD_TIMER_ABSTIME = 1
_FLAGS = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_CLOCK_MONOTONIC = 1


class _TimerSpec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns"))


class Ticker:
    """Calls `on_tick(due_ns, now_ns)` once for each period that has passed, late ones together, and then `after()`.

    Off Linux it falls back on the loop's timer.
    """

    def __init__(
        self, period_ns: int, on_tick: Callable[[int, int], None], after: Callable[[], None] = lambda: None
    ) -> None:
        self._period_ns = period_ns
        self._on_tick = on_tick
        self._after = after
        self._due_ns = 0
        self._fd: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin on the running loop; the first tick is due one period from now."""
        self._due_ns = monotonic_ns() + self._period_ns
        if sys.platform == "linux":
            self._fd = _timer_fd()
            _set_timer(self._fd, self._due_ns, self._period_ns)
            asyncio.get_running_loop().add_reader(self._fd, self._ring)
        else:
            self._rearm()

    def stop(self) -> None:
        """End; ticks that are due and were not called are lost."""
        if self._fd is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        if self._fd is not None:
            os.read(self._fd, 8)
        self._catch_up()

    def _catch_up(self) -> None:
        now_ns = monotonic_ns()
        while self._due_ns <= now_ns:
            self._on_tick(self._due_ns, now_ns)
            self._due_ns += self._period_ns
        self._after()

    def _rearm(self) -> None:
        self._catch_up()
        delay_s = max(0.001, (self._due_ns - monotonic_ns()) / NS_PER_S)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._rearm)


class Alarm:
    """Calls `on_alarm()` once when the moment set has come; setting it anew replaces the moment.

    Off Linux it falls back on the loop's timer.
    """

    def __init__(self, on_alarm: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_alarm = on_alarm
        self._fd: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        if sys.platform == "linux":
            self._fd = _timer_fd()
            self._loop.add_reader(self._fd, self._ring)

    def set(self, at_ns: int) -> None:
        """Ring at a moment of the monotonic clock; at once where it is past."""
        if self._fd is not None:
            _set_timer(self._fd, max(at_ns, 1))
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.0, (at_ns - monotonic_ns()) / NS_PER_S), self._on_alarm)

    def close(self) -> None:
        """Ring no more."""
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        if self._fd is None:
            return
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set anew since it rang
            return
        self._on_alarm()


def _timer_fd() -> int:
    """A timerfd on the monotonic clock. Raises OSError."""
    fd: int = _libc().timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
    if fd < 0:
        raise _refused()
    return fd


def _set_timer(fd: int, first_ns: int, period_ns: int = 0) -> None:
    """Ring at `first_ns`, then every `period_ns` if that is not 0. Raises OSError."""
    spec = _TimerSpec(*divmod(period_ns, NS_PER_S), *divmod(first_ns, NS_PER_S))
    if _libc().timerfd_settime(fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None) < 0:
        raise _refused()


def _refused() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"no timer from the kernel: {os.strerror(number)}")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
