"""Reads several streams of an engine as one: yields the batches of all streams as they arrive."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import cast

from mock_server.engine.base import Delta, DeltaStream, PushStream
from mock_server.engine.delta_queue import weight
from mock_server.engine.errors import EngineError

_MOST_UNREAD = 200_000
_BATCHES_A_TURN = 32
_STREAMS_A_TURN = 256


async def interleaved(streams: Sequence[DeltaStream]) -> AsyncGenerator[tuple[int, Sequence[Delta]], None]:
    """Batches, each with its stream's number. Raises `EngineError` if a stream does, or if too many batches wait."""
    inbox = _Inbox(len(streams))
    readers: list[asyncio.Task[None]] = []
    pushing: Sequence[PushStream] = ()
    if isinstance(streams[0], PushStream):  # checks one only: the check is slow, and all are from the same engine
        pushing = cast(Sequence[PushStream], streams)
    try:
        for number, stream in enumerate(streams):
            if pushing:
                pushing[number].listen(partial(inbox.take, number, pushing[number]))
            else:
                readers.append(asyncio.create_task(inbox.read(number, stream)))
            if not (number + 1) % _STREAMS_A_TURN:
                await asyncio.sleep(0)
        while (found := await inbox.next()) is not None:
            yield found
    finally:
        for stream in pushing:
            stream.listen(None)
        for reader in readers:
            reader.cancel()
        if readers:
            await asyncio.wait(readers)


class _Inbox:
    """Batches that streams have delivered and that have not been taken yet."""

    def __init__(self, open_streams: int) -> None:
        self._open = open_streams
        """The number of streams that are read here and have not ended."""
        self._found: deque[tuple[int, Sequence[Delta]] | Exception] = deque()
        self._unread = 0
        self._has_failed = False
        self._has_more = asyncio.Event()

    async def next(self) -> tuple[int, Sequence[Delta]] | None:
        """None once all streams that are read here have ended."""
        while not self._found:
            if not self._open:
                return None
            self._has_more.clear()
            await self._has_more.wait()
        found = self._found.popleft()
        if isinstance(found, Exception):
            raise found
        self._unread -= _weight(found[1])
        return found

    def take(self, number: int, stream: PushStream) -> None:
        """A stream calls this when it has a batch. After a failure the batch is dropped."""
        try:
            batch = stream.take()
            if not self._has_failed:
                self._add(number, batch)
        except EngineError as error:
            self._fail(error)

    async def read(self, number: int, stream: DeltaStream) -> None:
        """Reads a stream to its end."""
        try:
            taken = 0
            async for batch in stream:
                self._add(number, batch)
                taken += 1
                if not taken % _BATCHES_A_TURN:
                    await asyncio.sleep(0)
        except Exception as error:
            self._fail(error)
        finally:
            self._open -= 1
            self._has_more.set()

    def _add(self, number: int, batch: Sequence[Delta]) -> None:
        self._unread += _weight(batch)
        if self._unread > _MOST_UNREAD:
            raise EngineError(f"the client reads too slowly: more than {_MOST_UNREAD} deltas wait for it")
        self._found.append((number, batch))
        self._has_more.set()

    def _fail(self, error: Exception) -> None:
        self._has_failed = True
        self._found.append(error)
        self._has_more.set()


def _weight(batch: Sequence[Delta]) -> int:
    """All deltas of a batch have the same number of log probabilities."""
    positions = batch[0].logprobs if batch else None
    return len(batch) * weight(len(positions[0].top)) if positions else len(batch)
