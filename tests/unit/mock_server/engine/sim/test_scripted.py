from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta, GenerationParams
from mock_server.engine.errors import EngineDeadError, EngineError
from mock_server.engine.sim.clock import RealClock, VirtualClock
from mock_server.engine.sim.scripted import Script, ScriptedEngine, ScriptedRequest, TimedDelta, paced_script

AUTHOR = Author(Tokenizer(), "scripted")
PACED = paced_script(AUTHOR, ttft_s=0.25, itl_s=0.125)
PARAMS = GenerationParams(max_tokens=4, ignore_eos=True)


def run(script: Script, scenario: Callable[[ScriptedEngine, VirtualClock], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = VirtualClock()
        engine = ScriptedEngine(script, clock, AUTHOR.tokenizer)
        await engine.start()
        await scenario(engine, clock)
        await engine.stop()

    asyncio.run(main())


async def timed(
    engine: ScriptedEngine, clock: VirtualClock, params: GenerationParams = PARAMS, start: float = 0.0
) -> list[tuple[float, Delta]]:
    await clock.sleep_until(start)
    stream = await engine.generate([65], params, request_id="r")
    return [(clock.now(), delta) async for batch in stream for delta in batch]


def test_tokens_follow_each_requests_own_absolute_schedule() -> None:
    async def scenario(engine: ScriptedEngine, clock: VirtualClock) -> None:
        first, second = await asyncio.gather(timed(engine, clock), timed(engine, clock, start=0.0625))
        assert [at for at, _ in first] == [0.25, 0.375, 0.5, 0.625]
        assert [at for at, _ in second] == [0.3125, 0.4375, 0.5625, 0.6875]
        assert [delta.finish_reason for _, delta in first] == [None, None, None, "length"]
        assert engine.stats().lag_s == {"p50": 0.0, "p99": 0.0, "max": 0.0}

    run(PACED, scenario)


def test_the_text_is_the_authors() -> None:
    async def scenario(engine: ScriptedEngine, clock: VirtualClock) -> None:
        params = GenerationParams(max_tokens=30, seed=3)
        said = [delta.token_ids[0] for _, delta in await timed(engine, clock, params)]
        tokens = AUTHOR.tokens([65], params, None)[0]
        assert said == [next(tokens) for _ in said]

    run(PACED, scenario)


def test_choices_share_their_times() -> None:
    async def scenario(engine: ScriptedEngine, clock: VirtualClock) -> None:
        seen = await timed(engine, clock, GenerationParams(max_tokens=2, n=2, ignore_eos=True))
        assert [(at, delta.choice) for at, delta in seen] == [(0.25, 0), (0.25, 1), (0.375, 0), (0.375, 1)]

    run(PACED, scenario)


def test_a_script_may_send_any_tokens_at_any_time() -> None:
    def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
        yield TimedDelta(0.0, Delta(0, [1, 2, 3], None))
        yield TimedDelta(9.0, Delta(0, [], "length"))

    async def scenario(engine: ScriptedEngine, clock: VirtualClock) -> None:
        seen = await timed(engine, clock)
        assert seen == [(0.0, Delta(0, [1, 2, 3], None)), (9.0, Delta(0, [], "length"))]
        assert engine.stats().generated_tokens == 3

    run(script, scenario)


def test_a_script_may_fail_a_request_half_way() -> None:
    def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
        yield TimedDelta(0.0, Delta(0, [1], None))
        raise EngineError("out of memory")

    async def scenario(engine: ScriptedEngine, clock: VirtualClock) -> None:
        stream = await engine.generate([65], PARAMS, request_id="r")
        assert await anext(stream) == [Delta(0, [1], None)]
        with pytest.raises(EngineError, match="out of memory"):
            await anext(stream)
        assert engine.stats().running == 0

    run(script, scenario)


@pytest.mark.parametrize("first", [[], [TimedDelta(0.0, Delta(0, [1], None))]])
def test_a_script_that_ends_too_soon_is_a_failure(first: list[TimedDelta]) -> None:
    async def scenario(engine: ScriptedEngine, clock: VirtualClock) -> None:
        with pytest.raises(EngineError, match="finish reason"):
            await timed(engine, clock)

    run(lambda request: iter(first), scenario)


def test_closing_ends_the_script() -> None:
    async def scenario(engine: ScriptedEngine, clock: VirtualClock) -> None:
        stream = await engine.generate([65], PARAMS, request_id="r")
        await anext(stream)
        assert engine.stats().running == 1
        await stream.aclose()
        assert engine.stats().running == 0
        await clock.sleep_until(10.0)
        assert engine.stats().generated_tokens == 1

    run(PACED, scenario)


def test_a_stopped_engine_ends_its_streams_and_refuses() -> None:
    async def scenario(engine: ScriptedEngine, clock: VirtualClock) -> None:
        stream = await engine.generate([65], PARAMS, request_id="r")
        await engine.stop()
        with pytest.raises(EngineDeadError, match="stopped"):
            await anext(stream)
        with pytest.raises(EngineDeadError):
            await engine.generate([65], PARAMS, request_id="r")

    run(PACED, scenario)


def test_an_engine_that_is_behind_lets_other_tasks_on_its_loop_run() -> None:
    def late(request: ScriptedRequest) -> Iterator[TimedDelta]:
        for _ in range(10_000):
            yield TimedDelta(0.0, Delta(0, [65], None))
        yield TimedDelta(0.0, Delta(0, [65], "length"))

    async def main() -> int:
        engine = ScriptedEngine(late, RealClock(), AUTHOR.tokenizer)
        await engine.start()
        stream = await engine.generate([65], PARAMS, request_id="r")
        batches = [batch async for batch in stream]
        await engine.stop()
        assert sum(len(batch) for batch in batches) == 10_001
        return len(batches)

    assert asyncio.run(main()) > 100
