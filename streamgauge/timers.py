"""Timers of an event loop that keep time to a tenth of a millisecond: the kernel's timerfd where there is one.

Event loops round their own timers to milliseconds (uvloop) or fire them late (epoll). That is too coarse for an engine
step of 8 ms, and for a load tester that reports how late it ran. All moments are monotonic nanoseconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from time import monotonic_ns
from typing import Protocol

_NS_PER_S = 1_000_000_000
# From <sys/timerfd.h>; os.timerfd_create exists from Python 3.13 on.
_TFD_TIMER_ABSTIME = 1
_FLAGS = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_CLOCK_MONOTONIC = 1


class Alarm(Protocol):
    """Calls its callback once when the moment that was set has come. Setting it again replaces the moment."""

    def set(self, at_ns: int) -> None:
        """Ring at this moment, or in the loop's next pass if it is past."""

    def close(self) -> None:
        """Ring no more. An alarm may be closed twice."""


def make_alarm(on_alarm: Callable[[], None]) -> Alarm:
    """The most exact alarm of this platform, on the running loop."""
    return KernelAlarm(on_alarm) if sys.platform == "linux" else LoopAlarm(on_alarm)


class KernelAlarm:
    """The kernel's timer as a readable descriptor. Linux only. Raises OSError if the kernel has none to give."""

    def __init__(self, on_alarm: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_alarm = on_alarm
        self._fd: int | None = _timer_fd()
        self._loop.add_reader(self._fd, self._ring)

    def set(self, at_ns: int) -> None:
        if self._fd is not None:
            _set_timer(self._fd, max(at_ns, 1))  # 0 would disarm it

    def close(self) -> None:
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None

    def _ring(self) -> None:
        if self._fd is None:
            return
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # set again since it rang
            return
        self._on_alarm()


class LoopAlarm:
    """The loop's own timer, on any platform: exact to a millisecond or so."""

    def __init__(self, on_alarm: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_alarm = on_alarm
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at_ns: int) -> None:
        self.close()
        delay_s = max(0.0, (at_ns - monotonic_ns()) / _NS_PER_S)
        self._handle = self._loop.call_later(delay_s, self._on_alarm)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Ticker:
    """Calls `on_tick(due_ns, now_ns)` for each period that has passed, late ones in a row, and then `after()`.

    Off Linux it uses the loop's own timer.
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
        """Begin on the running loop. The first tick is due one period from now."""
        self._due_ns = monotonic_ns() + self._period_ns
        if sys.platform == "linux":
            self._fd = _timer_fd()
            _set_timer(self._fd, self._due_ns, self._period_ns)
            asyncio.get_running_loop().add_reader(self._fd, self._ring)
        else:
            self._rearm()

    def stop(self) -> None:
        """End. Ticks that are due and were not called are lost."""
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
        delay_s = max(0.001, (self._due_ns - monotonic_ns()) / _NS_PER_S)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._rearm)


class _TimerSpec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns"))


def _timer_fd() -> int:
    """A timerfd on the monotonic clock. Raises OSError."""
    fd: int = _libc().timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
    if fd < 0:
        raise _refused("timerfd_create")
    return fd


def _set_timer(fd: int, first_ns: int, period_ns: int = 0) -> None:
    """Ring at `first_ns`, then every `period_ns` unless that is 0. Raises OSError."""
    spec = _TimerSpec(*divmod(period_ns, _NS_PER_S), *divmod(first_ns, _NS_PER_S))
    if _libc().timerfd_settime(fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None) < 0:
        raise _refused("timerfd_settime")


def _refused(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
