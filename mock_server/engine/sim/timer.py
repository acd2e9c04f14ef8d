"""One alarm on an event loop, exact to a tenth of a millisecond where the kernel has timerfd.

Event loops round their timers to milliseconds (uvloop) or late (epoll): too coarse for a step of 8 ms.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import sys
import time
from collections.abc import Callable
from typing import Protocol

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK_CLOEXEC = 0o2004000
_TFD_TIMER_ABSTIME = 1
_NS = 1_000_000_000


class Timer(Protocol):
    """Calls its callback once each time a `time.monotonic()` instant, set by `arm`, has come."""

    def arm(self, when_s: float) -> None: ...

    def close(self) -> None: ...


class LoopTimer:
    """The loop's own timer: everywhere, to a millisecond or so."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, when_s: float) -> None:
        self.close()
        self._handle = self._loop.call_later(max(0.0, when_s - time.monotonic()), self._callback)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class TimerFd:
    """The kernel's timer as a readable descriptor (Linux; Python wraps it from 3.13 on only)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"timerfd_create: {os.strerror(code)}")
        self._loop = loop
        self._callback = callback
        self._spec = _TimerSpec()
        loop.add_reader(self._fd, self._fire)

    def arm(self, when_s: float) -> None:
        # An all-zero value would disarm the timer, and an instant in the past fires at once: both in one bound.
        seconds, nanoseconds = divmod(max(1, int(when_s * _NS)), _NS)
        self._spec.value.seconds = seconds
        self._spec.value.nanoseconds = nanoseconds
        if self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None):
            code = ctypes.get_errno()
            raise OSError(code, f"timerfd_settime: {os.strerror(code)}")

    def _fire(self) -> None:
        try:
            os.read(self._fd, 8)
        except OSError as error:
            if error.errno != errno.EAGAIN:  # armed anew between the wake-up and this read
                raise
            return
        self._callback()

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


def make_timer(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Timer:
    """The most exact timer of this platform."""
    return TimerFd(loop, callback) if sys.platform == "linux" else LoopTimer(loop, callback)
