from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import pytest

from mock_server.engine.base import Delta
from mock_server.engine.delta_queue import DeltaQueue
from mock_server.engine.errors import EngineError
from mock_server.engine.outbox import Outbox

FIRST, SECOND, LAST = Delta(0, (1,), None), Delta(0, (2,), None), Delta(0, (3,), "stop")


async def drain(queue: DeltaQueue) -> list[Sequence[Delta]]:
    return [batch async for batch in queue]


def test_a_reader_gets_all_ready_deltas_together() -> None:
    async def scenario() -> list[Sequence[Delta]]:
        queue = DeltaQueue(1, lambda: None)
        reader = asyncio.create_task(drain(queue))
        await asyncio.sleep(0)  # the reader waits now
        queue.put(FIRST)
        queue.put(SECOND)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        queue.put(LAST)
        return await reader

    assert asyncio.run(scenario()) == [[FIRST, SECOND], [LAST]]


def test_final_only_gives_each_choice_as_one_delta() -> None:
    async def scenario() -> list[Sequence[Delta]]:
        queue = DeltaQueue(2, lambda: None, final_only=True)
        reader = asyncio.create_task(drain(queue))
        for delta in (FIRST, LAST, Delta(1, (4,), "length")):
            await asyncio.sleep(0)
            queue.put(delta)
        return await reader

    assert asyncio.run(scenario()) == [[Delta(0, [1, 3], "stop")], [Delta(1, [4], "length")]]


def test_closing_aborts_once_and_only_before_the_end() -> None:
    async def scenario() -> list[str]:
        aborted: list[str] = []
        open_one = DeltaQueue(1, lambda: aborted.append("open"))
        ended = DeltaQueue(1, lambda: aborted.append("ended"))
        open_one.put(FIRST)
        ended.put(LAST)
        for queue in (open_one, ended, open_one):
            await queue.aclose()
            assert await drain(queue) == []
        return aborted

    assert asyncio.run(scenario()) == ["open"]


def test_a_failure_follows_the_deltas_that_were_ready() -> None:
    async def scenario(waiting: bool) -> None:
        queue = DeltaQueue(1, lambda: None)
        if not waiting:
            queue.put(FIRST)
            queue.fail(EngineError("broken"))
            assert await anext(queue) == [FIRST]
        else:
            asyncio.get_running_loop().call_soon(queue.fail, EngineError("broken"))
        with pytest.raises(EngineError, match="broken"):
            await anext(queue)

    asyncio.run(scenario(waiting=False))
    asyncio.run(scenario(waiting=True))


async def passes() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_listener_is_called_once_per_pass_and_a_failure_is_last() -> None:
    async def scenario() -> list[object]:
        seen: list[object] = []
        queue = DeltaQueue(1, lambda: None)

        def listener() -> None:
            try:
                seen.append(queue.take())
            except EngineError as error:
                seen.append(str(error))

        queue.put(FIRST)
        queue.listen(listener)
        await passes()
        queue.put(SECOND)
        queue.put(SECOND)
        await passes()
        queue.put(FIRST)
        queue.fail(EngineError("broken"))
        await passes()
        return seen

    assert asyncio.run(scenario()) == [[FIRST], [SECOND, SECOND], [FIRST], "broken"]


def test_a_reader_that_iterates_after_listening_misses_nothing() -> None:
    async def scenario() -> list[Sequence[Delta]]:
        queue = DeltaQueue(1, lambda: None)
        queue.listen(lambda: None)  # takes nothing
        queue.put(FIRST)
        queue.listen(None)
        await passes()
        queue.put(SECOND)
        queue.put(LAST)
        return await drain(queue)

    assert asyncio.run(scenario()) == [[FIRST, SECOND, LAST]]


def test_readers_of_an_engine_wake_in_order_and_a_defect_affects_only_its_reader(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> list[str]:
        told: list[str] = []
        outbox = Outbox()
        outbox.add(lambda: told.append("first"))
        outbox.add(lambda: told.remove("nothing"))
        outbox.add(lambda: outbox.add(lambda: told.append("next pass")))
        outbox.add(lambda: told.append("last"))
        assert told == []
        await passes()
        return told

    assert asyncio.run(scenario()) == ["first", "last", "next pass"]
    assert "a reader of the engine failed" in caplog.text


def test_slow_readers_yield_to_other_tasks_and_still_wake_in_order() -> None:
    async def scenario() -> list[int | str]:
        told: list[int | str] = []
        outbox = Outbox()

        def slow(number: int) -> None:
            until = time.monotonic() + 0.004
            while time.monotonic() < until:
                pass
            told.append(number)

        for number in range(12):
            outbox.add(partial(slow, number))
        asyncio.get_running_loop().call_soon(told.append, "other")
        outbox.add(lambda: outbox.add(lambda: told.append("next")))
        for _ in range(10):
            await passes()
        return told

    told = asyncio.run(scenario())
    assert told.index("other") < 11
    assert [found for found in told if found != "other"] == [*range(12), "next"]


@pytest.mark.parametrize(("kind", "most"), [({"top_logprobs": 2}, 16), ({"final_only": True}, 8)])
def test_deltas_that_take_long_to_write_are_read_in_smaller_batches(kind: dict[str, int], most: int) -> None:
    async def scenario() -> list[Sequence[Delta]]:
        queue = DeltaQueue(100, lambda: None, **kind)  # type: ignore[arg-type]
        deltas = [Delta(choice, [1], "stop") for choice in range(100)]
        for delta in deltas:
            queue.put(delta)
        batches = await drain(queue)
        assert [delta for batch in batches for delta in batch] == deltas
        return batches

    assert max(map(len, asyncio.run(scenario()))) == most


@pytest.mark.parametrize(("top", "most"), [(None, 200_000), (20, 200_000 // 6)])
def test_deltas_with_log_probabilities_weigh_more_while_they_wait(top: int | None, most: int) -> None:
    async def scenario() -> int:
        """How many deltas are waiting when the stream is ended."""
        closed = asyncio.Event()
        queue = DeltaQueue(1, closed.set, top_logprobs=top)
        for count in range(1, 250_000):
            queue.put(FIRST)
            if not count % 1_024:
                await asyncio.sleep(0)
            if closed.is_set():
                return count
        return 0

    assert most < asyncio.run(scenario()) <= most + 1_024
