"""Streams of an engine that are read here, one after another batch: what vLLM's streams are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from mock_server.answer.interleaving import interleaved
from mock_server.engine.base import Delta
from mock_server.engine.errors import EngineError


class Pulled:
    """Hands over batches when it is read, then waits or fails."""

    prompt_logprobs = None
    first_token_at = None

    def __init__(self, *batches: Sequence[Delta], then: Exception | asyncio.Event | None = None) -> None:
        self._batches = list(batches)
        self._then = then
        self.was_cancelled = False

    def __aiter__(self) -> Pulled:
        return self

    async def __anext__(self) -> Sequence[Delta]:
        if self._batches:
            await asyncio.sleep(0)
            return self._batches.pop(0)
        if isinstance(self._then, Exception):
            raise self._then
        if self._then is not None:
            try:
                await self._then.wait()
            except asyncio.CancelledError:
                self.was_cancelled = True
                raise
        raise StopAsyncIteration


def batch(token: int, size: int = 1) -> list[Delta]:
    return [Delta(0, (token,), None)] * size


def together(*streams: Pulled) -> AsyncGenerator[tuple[int, Sequence[Delta]], None]:
    pulled: Any = streams
    return interleaved(pulled)


def test_every_batch_arrives_with_the_number_of_its_stream_in_its_order() -> None:
    async def read() -> list[tuple[int, int]]:
        streams = [Pulled(batch(1), batch(2), batch(3)), Pulled(), Pulled(batch(4), batch(5))]
        return [(number, found[0].token_ids[0]) async for number, found in together(*streams)]

    found = asyncio.run(read())
    assert [token for number, token in found if number == 0] == [1, 2, 3]
    assert [token for number, token in found if number == 2] == [4, 5]
    assert len(found) == 5


def test_the_error_of_one_stream_ends_all() -> None:
    async def read() -> bool:
        silent = Pulled(then=asyncio.Event())
        both = together(silent, Pulled(batch(1), then=EngineError("out of memory")))
        assert (await anext(both))[1] == batch(1)
        with pytest.raises(EngineError, match="out of memory"):
            await anext(both)
        return silent.was_cancelled  # not later: the end of the loop cancels everything

    assert asyncio.run(read())


def test_closing_cancels_the_reading_of_every_stream() -> None:
    async def leave() -> list[bool]:
        streams = [Pulled(batch(1), then=asyncio.Event()), Pulled(then=asyncio.Event())]
        both = together(*streams)
        await anext(both)
        await both.aclose()
        return [stream.was_cancelled for stream in streams]

    assert asyncio.run(leave()) == [True, True]


def test_an_engine_that_is_far_ahead_of_its_client_is_an_error() -> None:
    """So that the memory of a client that does not read is bounded."""

    async def read() -> int:
        taken = 0
        both = together(*(Pulled(batch(number, 150_000)) for number in range(3)))
        with pytest.raises(EngineError, match="the client reads too slowly: more than 200000 deltas wait for it"):
            async for _, found in both:
                taken += len(found)
                for _ in range(9):  # the streams go on
                    await asyncio.sleep(0)
        return taken

    assert asyncio.run(read()) <= 200_000
