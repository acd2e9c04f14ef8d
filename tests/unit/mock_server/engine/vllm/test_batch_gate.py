"""Which requests run together, tested with outputs that wait for a signal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from mock_server.engine.vllm.batch_gate import BatchGate


class Request:
    """Two outputs, each released by the test; `has_begun` is set when the engine would start computing."""

    def __init__(self, gate: BatchGate, *, alone: bool) -> None:
        self.has_begun = False
        self.is_closed = False
        self.let = asyncio.Semaphore(0)
        self.outputs = gate.through(self._run(), alone=alone)
        self.seen: list[int] = []
        self.task = asyncio.create_task(self._read())

    async def _run(self) -> AsyncGenerator[int, None]:
        self.has_begun = True
        try:
            for number in range(2):
                await self.let.acquire()
                yield number
        finally:
            self.is_closed = True

    async def _read(self) -> None:
        async for output in self.outputs:
            self.seen.append(output)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_others_run_together() -> None:
    async def scenario() -> None:
        gate = BatchGate()
        requests = [Request(gate, alone=False) for _ in range(3)]
        await settle()
        assert all(request.has_begun for request in requests)
        for request in requests:
            request.let.release()
            request.let.release()
            await request.task
            assert request.seen == [0, 1]

    asyncio.run(scenario())


def test_a_request_that_must_run_alone_waits_for_earlier_ones_and_delays_later_ones() -> None:
    async def scenario() -> None:
        gate = BatchGate()
        before, alone, behind = (Request(gate, alone=is_alone) for is_alone in (False, True, False))
        await settle()
        assert (before.has_begun, alone.has_begun, behind.has_begun) == (True, False, False)
        before.let.release()
        before.let.release()
        await settle()
        assert (alone.has_begun, behind.has_begun) == (True, False)
        alone.let.release()
        await settle()
        assert (alone.seen, behind.has_begun) == ([0], True)
        alone.let.release()
        behind.let.release()
        behind.let.release()
        await asyncio.gather(alone.task, behind.task)
        assert alone.seen == behind.seen == [0, 1]

    asyncio.run(scenario())


def test_a_cancelled_request_lets_the_others_continue() -> None:
    async def scenario() -> None:
        gate = BatchGate()
        running, waiting, computed, last = (Request(gate, alone=is_alone) for is_alone in (False, True, True, False))
        await settle()
        waiting.task.cancel()
        await settle()
        running.task.cancel()
        await settle()
        assert (waiting.has_begun, computed.has_begun, last.has_begun) == (False, True, False)
        computed.task.cancel()
        await settle()
        assert last.has_begun
        assert running.is_closed
        assert computed.is_closed
        last.task.cancel()

    asyncio.run(scenario())


def test_a_request_that_is_never_read_blocks_no_other() -> None:
    async def scenario() -> None:
        gate = BatchGate()

        async def outputs() -> AsyncGenerator[int, None]:
            yield 0

        await gate.through(outputs(), alone=True).aclose()
        assert [output async for output in gate.through(outputs(), alone=True)] == [0]

    asyncio.run(scenario())
