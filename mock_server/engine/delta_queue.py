"""The stream between an engine in this process and its one reader: deltas pile up, the reader takes all."""

import asyncio
from collections.abc import Callable, Sequence

from .base import Delta, EngineError


class DeltaQueue:
    """A `DeltaStream` that ends when each of `num_choices` choices has a finish reason.

    With `final_only` the reader is woken at the end alone.
    """

    __slots__ = ("_error", "_final_only", "_on_close", "_open_choices", "_ready", "_waiter")

    def __init__(self, num_choices: int, on_close: Callable[[], None], *, final_only: bool = False) -> None:
        self._open_choices = num_choices
        self._on_close = on_close
        self._final_only = final_only
        self._ready: list[Delta] = []
        self._waiter: asyncio.Future[None] | None = None
        self._error: EngineError | None = None

    def put(self, delta: Delta) -> None:
        """Engine side: adds a delta, and wakes the reader if it waits."""
        self._ready.append(delta)
        if delta.finish_reason is not None:
            self._open_choices -= 1
        if self._waiter is not None and (not self._final_only or not self._open_choices):
            self._wake()

    def fail(self, error: EngineError) -> None:
        """Engine side: the reader gets what is ready, then the error."""
        self._error = error
        if self._waiter is not None:
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __aiter__(self) -> "DeltaQueue":
        return self

    async def __anext__(self) -> Sequence[Delta]:
        while self._must_wait():
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._ready:
            if self._error is not None:
                raise self._error
            raise StopAsyncIteration
        batch, self._ready = self._ready, []
        return batch

    def _must_wait(self) -> bool:
        if self._error is not None or not self._open_choices:
            return False
        return self._final_only or not self._ready

    async def aclose(self) -> None:
        """Reader side: aborts the request unless it has ended."""
        self._ready.clear()
        if self._open_choices:
            self._open_choices = 0
            self._on_close()
