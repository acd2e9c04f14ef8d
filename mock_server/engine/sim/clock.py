"""An engine's time in seconds: real (possibly faster or slower than the wall clock), or virtual for tests."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable
from typing import Protocol

from streamgauge.timers import Alarm, make_alarm

_log = logging.getLogger(__name__)

_Entry = tuple[float, int, Callable[[], None]]


class Clock(Protocol):
    """`now` never goes back. Callbacks run in the order of their times, never early."""

    def start(self) -> None:
        """Binds the clock to the running event loop."""

    def stop(self) -> None: ...

    def now(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> None: ...

    async def sleep_until(self, when: float) -> None: ...


class _Alarms:
    """Future times and what to do then. Equal times keep their order."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._order = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, when: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._order), callback))

    @property
    def next_at(self) -> float:
        return self._heap[0][0]

    def pop(self) -> Callable[[], None]:
        return heapq.heappop(self._heap)[2]

    def clear(self) -> None:
        self._heap.clear()


def _call(callback: Callable[[], None]) -> None:
    """Runs a callback. Its failure does not stop the clock."""
    try:
        callback()
    except Exception:
        _log.exception("a timed callback failed")


async def _sleep_on(clock: Clock, when: float) -> None:
    done = asyncio.get_running_loop().create_future()
    clock.call_at(when, lambda: None if done.done() else done.set_result(None))
    await done


class RealClock:
    """The monotonic clock. With a `time_scale` of 2.0, engine time passes twice as fast as the wall clock's."""

    def __init__(self, time_scale: float = 1.0) -> None:
        if not time_scale > 0:
            raise ValueError(f"time_scale must be above 0 (got {time_scale})")
        self._scale = time_scale
        self._origin_s = time.monotonic()
        self._alarms = _Alarms()
        self._timer: Alarm | None = None
        self._armed_at = float("inf")

    def start(self) -> None:
        self._timer = make_alarm(self._ring)

    def stop(self) -> None:
        self._alarms.clear()
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def now(self) -> float:
        return (time.monotonic() - self._origin_s) * self._scale

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        self._alarms.add(when, callback)
        if when < self._armed_at:
            self._arm(when)

    async def sleep_until(self, when: float) -> None:
        await _sleep_on(self, when)

    def _arm(self, when: float) -> None:
        if self._timer is None:
            raise RuntimeError("the clock is not running: call start() first")
        self._armed_at = when
        self._timer.set(int((self._origin_s + when / self._scale) * 1e9))

    def _ring(self) -> None:
        self._armed_at = float("inf")
        now = self.now()
        due = []
        while self._alarms and self._alarms.next_at <= now:
            due.append(self._alarms.pop())
        for callback in due:  # new alarms for a time that has passed wait until the loop has had its turn
            _call(callback)
        if self._alarms and self._alarms.next_at < self._armed_at:
            self._arm(self._alarms.next_at)


class VirtualClock:
    """Time that jumps to the next alarm as soon as everything that is ready has run.

    asyncio does not report when its ready queue is empty, so the clock first waits for a few passes of the loop. A
    chain of that many wake-ups therefore sees the time of the alarm that caused it.
    """

    passes = 8

    def __init__(self) -> None:
        self._now = 0.0
        self._alarms = _Alarms()
        self._driver: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._now = 0.0

    def stop(self) -> None:
        self._alarms.clear()

    def now(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> None:
        self._alarms.add(when, callback)
        if self._driver is None:
            self._driver = asyncio.get_running_loop().create_task(self._drive())

    async def sleep_until(self, when: float) -> None:
        await _sleep_on(self, when)

    async def _drive(self) -> None:
        while True:
            for _ in range(self.passes):
                await asyncio.sleep(0)
            if not self._alarms:
                self._driver = None
                return
            self._now = max(self._now, self._alarms.next_at)
            while self._alarms and self._alarms.next_at <= self._now:
                _call(self._alarms.pop())
