"""An event loop in its own thread, so that synchronous callers can use asynchronous engines, even in a running loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

_SIGNAL_INTERVAL_S = 1.0


class Job(Generic[_T]):
    """A coroutine that runs in the loop's thread."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T], is_in_loop: Callable[[], bool]
    ) -> None:
        """`is_in_loop`: whether the caller runs in the loop's thread."""
        self._loop = loop
        self._is_in_loop = is_in_loop
        self._task: asyncio.Task[_T] | None = None
        self._is_cancelled = False
        self._outcome: concurrent.futures.Future[_T] = concurrent.futures.Future()
        loop.call_soon_threadsafe(self._begin, work)

    def _begin(self, work: Coroutine[Any, Any, _T]) -> None:
        if self._is_cancelled:
            work.close()
            self._outcome.set_exception(concurrent.futures.CancelledError())
            return
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[_T]) -> None:
        if task.cancelled():
            self._outcome.set_exception(concurrent.futures.CancelledError())
        elif (error := task.exception()) is not None:
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(task.result())

    def when_done(self, call: Callable[[], None]) -> None:
        self._outcome.add_done_callback(lambda _: call())

    def result(self) -> _T:
        """Waits for the result. If the wait is interrupted, it cancels the work first."""
        try:
            # In pieces: a signal just before a wait is only handled after it.
            while not self._outcome.done():
                concurrent.futures.wait([self._outcome], timeout=_SIGNAL_INTERVAL_S)
            return self._outcome.result()
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Cancels the work and returns when it has cleaned up; does nothing if it has ended. In the loop's own thread,
        where the garbage collector may find an abandoned stream, it does not wait: the work ends soon after.
        """
        if not self._outcome.done():
            self._loop.call_soon_threadsafe(self._cancel)
            if not self._is_in_loop():
                concurrent.futures.wait([self._outcome])

    def _cancel(self) -> None:
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()


class LoopThread:
    """A daemon thread: work that is still running does not keep the program from ending."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _T]) -> Job[_T]:
        return Job(self._loop, work, self.is_current)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Runs the work and returns its result."""
        return self.submit(work).result()

    def is_current(self) -> bool:
        """Whether the caller runs in this thread."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Ends everything that an engine has left running there, and the thread."""
        self.run(_end_other_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_other_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
