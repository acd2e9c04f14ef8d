"""Enforces limits on blocking work that has none: the work runs in a thread, which is abandoned when time is up.

Blocking Python code cannot be interrupted. Instead, the caller goes on without it: the thread ends with its work, and
does not keep the process from exiting.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic_ns
from typing import Any, TypeVar, cast

from sdk.deadline import SECOND_NS, Deadline, Timeouts
from sdk.errors import SDKError
from sdk.transport.base import FINISH_S, Block, Exchange, Head, Request, Transport

# The time, after a limit, in which the thread may return data that arrived in time; longer if the process was stopped
# and its threads have just resumed.
LAST_S, LONGEST_LAST_S = 0.02, 0.5
LATE_NS = SECOND_NS // 2

T = TypeVar("T")
_Job = Callable[[], object]


class BoundedThread:
    """A thread that does the work of one exchange, one piece at a time."""

    def __init__(self, deadline: Deadline) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Any, BaseException | None] | None] = SimpleQueue()
        self.deadline = deadline
        self._late_ns = 0
        self.is_busy: bool = False
        """Whether work is running; it may be even after `run` raised the error of a limit or KeyboardInterrupt."""
        deadline.watcher = partial(self._results.put, None)  # a new phase may have a nearer limit
        Thread(
            target=contextvars.copy_context().run,
            args=(_work, self._jobs, self._results),
            name="sdk exchange",
            daemon=True,
        ).start()

    def run(self, job: Callable[[], T]) -> T:
        """The result of the work. Raises its error, or the RequestTimeoutError of the limit that passed."""
        self.is_busy = True
        self._jobs.put(job)
        while True:
            left_s = self._left_s()
            try:
                result = self._results.get(timeout=left_s)
            except Empty:
                if self._late_ns:
                    raise self.deadline.late_error() from None
                continue
            if result is None:
                continue
            self.is_busy = False
            value, error = result
            if error is not None:
                raise error
            return cast(T, value)

    def _left_s(self) -> float | None:
        left_s = self.deadline.remaining_s()
        if left_s != 0.0:
            self._late_ns = 0
            return left_s
        now_ns = monotonic_ns()
        if self._late_ns and now_ns >= self._late_ns + LATE_NS:
            return 0.0
        self._late_ns = self._late_ns or now_ns
        return min(max(LAST_S, (now_ns - self.deadline.expires_ns()) / SECOND_NS), LONGEST_LAST_S)

    def end(self, last: _Job | None = None) -> None:
        """End the thread after its current work and `last`."""
        self.deadline.watcher = None
        if last is not None:
            self._jobs.put(last)
        self._jobs.put(None)


def _work(jobs: SimpleQueue[_Job | None], results: SimpleQueue[tuple[Any, BaseException | None] | None]) -> None:
    while (job := jobs.get()) is not None:
        try:
            results.put((job(), None))
        except BaseException as error:  # raised by `run`
            results.put((None, error))
        del job


class BoundedBlockingTransport:
    """Wraps a `Transport`, and enforces the limits of its calls."""

    keeps_limits = True

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return repr(self._transport)

    def send(self, request: Request, deadline: Deadline) -> BoundedBlockingExchange:
        thread = BoundedThread(deadline)
        deadline.enter("first_byte")
        sent: list[Exchange] = []
        try:
            thread.run(lambda: sent.append(self._transport.send(request, deadline)))
        except BaseException:
            if thread.is_busy:
                thread.end(lambda: sent[0].close() if sent else None)
            else:
                thread.end()
            raise
        deadline.enter("stall")
        return BoundedBlockingExchange(sent[0], thread)

    def close(self) -> None:
        self._transport.close()


class BoundedBlockingExchange:
    """An `Exchange` of such a transport."""

    _thread: BoundedThread | None = None

    def __init__(self, exchange: Exchange, thread: BoundedThread) -> None:
        self.head: Head = exchange.head
        self.sent_ns: int = exchange.sent_ns
        self.head_ns: int = exchange.head_ns
        self.opened_connection: bool = exchange.opened_connection
        self._exchange = exchange
        self._thread = thread

    def read(self) -> Block | None:
        if self._thread is None:
            return self._exchange.read()
        try:
            return self._thread.run(self._exchange.read)
        except BaseException:
            self.close()
            raise

    def finish(self) -> None:
        if self._thread is not None:
            finish_briefly(self._exchange.finish)
        self.close()

    def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if thread.is_busy:
            thread.end(self._exchange.close)
        else:
            thread.end()
            self._exchange.close()

    def __del__(self) -> None:
        self.close()


def finish_briefly(work: Callable[[], object]) -> None:
    """Run the last work of an exchange, for a short time at most; its result does not matter."""
    thread = BoundedThread(Deadline(Timeouts(total=FINISH_S)))
    with suppress(SDKError):
        thread.run(work)
    thread.end()
