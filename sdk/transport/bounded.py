"""Enforces limits on asynchronous work that has none: the call ends in time, whatever the work waits for.

It works on asyncio and trio, without a task or a timer for each wait: the work runs in the task that waits for it, and
is interrupted there. Work that swallows the interruption is dropped a moment later, and leaves no task behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from math import inf
from time import monotonic_ns
from typing import Any, TypeVar

from sdk.deadline import SECOND_NS, Deadline, Timeouts
from sdk.errors import RequestTimeoutError
from sdk.transport.base import FINISH_S, AsyncExchange, AsyncTransport, Block, Head, Request
from sdk.transport.event_loop import Alarm, Interruption, alarm, interruption, later, next_turn, running_loop

# Turns of the loop between a limit and the interruption: after a process was stopped or a loop was busy, the limit is
# noticed before the data that arrived in time is read.
LAST_TURNS = 16
# How long the work may take to return, block by block, the data that arrived in time.
LATE_NS = SECOND_NS // 2
FINISH_NS = int(FINISH_S * SECOND_NS)

T = TypeVar("T")


class Bounds:
    """Runs the work of one exchange, one piece at a time, within its deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        deadline.watcher = self._watch
        self._on_asyncio = isinstance(running_loop(), asyncio.AbstractEventLoop)
        self._waiting: Interruption | None = None
        self._alarm: Alarm | None = None
        self._alarm_ns = inf
        self._late_ns = 0
        self._cut_ns = 0
        self._told_ns = 0

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work. Raises its error, or the RequestTimeoutError of the limit that passed."""
        if self._waiting is not None:
            work.close()
            raise RuntimeError("another task is reading this stream: one task reads, and hands on what others need")
        if self._is_too_late():
            work.close()
            raise self._deadline.late_error()
        waited_for: Any = None
        if self._on_asyncio:  # on trio, our cancel scope must be entered before those of the work
            try:
                waited_for = work.send(None)
            except StopIteration as end:  # it did not need to wait
                result: T = end.value
                return result
        self._waiting = interruption()
        self._cut_ns = self._told_ns = 0
        self._watch()
        try:
            with self._waiting:
                return await self._driven(work, waited_for)
        except Exception as error:
            if not self._cut_ns:
                raise
            raise self._deadline.late_error() from error  # the work turned the interruption into this error
        finally:
            self._waiting = None
        raise self._deadline.late_error()

    def end(self) -> None:
        """End the exchange: no more work follows."""
        self._deadline.watcher = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    @types.coroutine
    def _driven(self, work: Coroutine[Any, Any, T], waited_for: Any) -> Generator[Any, Any, T]:
        """Runs the work as `await` does, until it ends or is dropped; it may have started already."""
        try:
            if not self._on_asyncio:
                waited_for = work.send(None)
            while True:
                try:
                    answer = yield waited_for
                except BaseException as error:
                    self._give_up(work, error)
                    waited_for = work.throw(error)
                else:
                    if self._cut_ns and hasattr(answer, "error"):  # trio sends the error rather than throwing it
                        self._give_up(work, answer.error)
                    waited_for = work.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _give_up(self, work: Coroutine[Any, Any, object], error: BaseException) -> None:
        """Drop work that goes on too long after its interruption, and raise the error instead.

        The time counts from when the work was told: a busy loop tells it late.
        """
        if not self._cut_ns:
            return
        now_ns = monotonic_ns()
        self._told_ns = self._told_ns or now_ns
        if now_ns >= self._told_ns + FINISH_NS:
            with contextlib.suppress(BaseException):  # it may swallow this too
                work.throw(_Dropped())
                work.close()
            raise error

    def _is_too_late(self) -> bool:
        """Whether a limit passed so long ago that data read now cannot have arrived in time."""
        now_ns = monotonic_ns()
        if now_ns < self._deadline.expires_ns():
            self._late_ns = 0
            return False
        self._late_ns = self._late_ns or now_ns
        return now_ns >= self._late_ns + LATE_NS

    # One alarm for all the work; it is set again only when it rings or a nearer limit begins.

    def _watch(self) -> None:
        expires_ns = self._deadline.expires_ns()
        if expires_ns < self._alarm_ns:
            self._set_alarm(expires_ns, self._on_alarm)

    def _set_alarm(self, at_ns: float, ring: Callable[[], None]) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_ns = at_ns
        self._alarm = alarm(max(0.0, (at_ns - monotonic_ns()) / SECOND_NS), partial(self._rang, ring))

    def _rang(self, ring: Callable[[], None]) -> None:
        self._alarm, self._alarm_ns = None, inf
        ring()

    def _on_alarm(self) -> None:
        if self._waiting is not None:
            self._look(self._waiting, LAST_TURNS)

    def _look(self, waiting: Interruption, turns: int) -> None:
        """Interrupt the wait unless it ends within a few turns of the loop."""
        if self._waiting is not waiting:
            return
        if self._deadline.error() is None:
            self._watch()
        elif turns and self._deadline.awaits_answer and not self._is_too_late():
            next_turn(partial(self._look, waiting, turns - 1))
        else:
            self._cut(waiting)

    def _cut(self, waiting: Interruption) -> None:
        if self._waiting is waiting:
            self._cut_ns = self._cut_ns or monotonic_ns()
            waiting.interrupt()
            self._set_alarm(monotonic_ns() + FINISH_NS, partial(self._cut, waiting))
        else:  # that wait ended, and another has begun
            self._watch()


class _Dropped(BaseException):
    """Thrown into work that swallows its interruption: closing it would leave async generators marked as running."""


async def briefly(work: Coroutine[Any, Any, object]) -> None:
    """Run the last work of an exchange, for a short time at most; its result does not matter."""
    bounds = Bounds(Deadline(Timeouts(total=FINISH_S)))
    try:
        with contextlib.suppress(RequestTimeoutError):
            await bounds.run(work)
    finally:
        bounds.end()


class BoundedTransport:
    """Wraps an `AsyncTransport`, and enforces the limits of its calls."""

    keeps_limits = True

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return repr(self._transport)

    async def send(self, request: Request, deadline: Deadline) -> BoundedExchange:
        bounds = Bounds(deadline)
        deadline.enter("first_byte")
        try:
            exchange = await bounds.run(self._transport.send(request, deadline))
        except BaseException:
            bounds.end()
            raise
        deadline.enter("stall")
        return BoundedExchange(exchange, bounds)

    async def aclose(self) -> None:
        await self._transport.aclose()


class BoundedExchange:
    """An `AsyncExchange` of such a transport."""

    def __init__(self, exchange: AsyncExchange, bounds: Bounds) -> None:
        self.head: Head = exchange.head
        self.sent_ns: int = exchange.sent_ns
        self.head_ns: int = exchange.head_ns
        self.opened_connection: bool = exchange.opened_connection
        self._exchange = exchange
        self._bounds = bounds
        self._later = later()

    async def read(self) -> Block | None:
        try:
            return await self._bounds.run(self._exchange.read())
        except BaseException:
            self.close()
            raise

    arrives = read

    async def finish(self) -> None:
        self._bounds.end()
        await briefly(self._exchange.finish())

    async def aclose(self) -> None:
        self._bounds.end()
        await briefly(self._exchange.aclose())

    def close(self) -> None:
        self._bounds.end()
        self._exchange.close()

    def abandon(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._later(self.aclose)
