from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Adapter, Delta, GenerationParams
from mock_server.engine.errors import EngineDeadError, EngineError
from mock_server.engine.sim.clock import Clock, RealClock, VirtualClock
from mock_server.engine.sim.cost_model import StepCosts
from mock_server.engine.sim.profiles import PROFILES, Profile
from mock_server.engine.sim.simulated import SimulatedEngine

T = TypeVar("T")
AUTHOR = Author(Tokenizer(), "sim-chat")
STEADY = Profile(
    "steady",
    "round figures",
    StepCosts(base_s=1.0, prefill_token_s=0.25, decode_seq_s=0.5, kv_token_s=0.125),
    max_num_seqs=2,
    max_num_batched_tokens=8,
)
PROMPT = [65] * 4


def fixed(tokens: int, **params: int) -> GenerationParams:
    return GenerationParams(max_tokens=tokens, ignore_eos=True, **params)


def run(profile: Profile, scenario: Callable[[SimulatedEngine, Clock], Awaitable[T]], clock: Clock | None = None) -> T:
    async def main() -> T:
        used = clock or VirtualClock()
        engine = SimulatedEngine(profile, used, AUTHOR)
        await engine.start()
        try:
            return await scenario(engine, used)
        finally:
            await engine.stop()

    return asyncio.run(main())


async def times(
    engine: SimulatedEngine, clock: Clock, params: GenerationParams, prompt: Sequence[int] = PROMPT, start: float = 0.0
) -> list[float]:
    """The time of each token."""
    if start:
        await clock.sleep_until(start)
    seen = []
    async for batch in await engine.generate(prompt, params, request_id="r"):
        seen += [clock.now()] * len(batch)
    return seen


async def token_ids(engine: SimulatedEngine, prompt: Sequence[int], params: GenerationParams) -> list[int]:
    stream = await engine.generate(prompt, params, request_id="r")
    return [token_id async for batch in stream for delta in batch for token_id in delta.token_ids]


def test_step_times_are_exactly_those_of_the_cost_model() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> list[float]:
        return await times(engine, clock, fixed(3))

    # Prefill of 4: 1 + 4/4; then decodes over contexts of 4 and 5 tokens: 1 + 1/2 + 4/8, 1 + 1/2 + 5/8.
    assert run(STEADY, scenario) == [2.0, 4.0, 6.125]


def test_a_prefill_shares_a_step_with_decodes_and_slows_them() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> list[list[float]]:
        return await asyncio.gather(
            times(engine, clock, fixed(3)), times(engine, clock, fixed(1), prompt=[65] * 8, start=2.5)
        )

    # The second request comes within the step that ends at 4. The next has one decode and 7 of its 8 prompt
    # tokens: 1 + 1/2 + 5/8 + 7/4; the last one: 1 + 1/4.
    assert run(STEADY, scenario) == [[2.0, 4.0, 7.875], [9.125]]


def test_a_request_that_does_not_fit_the_batch_waits() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> None:
        requests = [asyncio.create_task(times(engine, clock, fixed(1), [65])) for _ in range(3)]
        await clock.sleep_until(0.5)
        assert (engine.stats().running, engine.stats().waiting) == (2, 1)
        assert await asyncio.gather(*requests) == [[1.5], [1.5], [2.75]]
        assert (engine.stats().running, engine.stats().waiting) == (0, 0)

    run(STEADY, scenario)


def test_the_front_end_delays_a_request_before_it_queues() -> None:
    profile = Profile("frontend", "", StepCosts(base_s=1.0, frontend_s=10.0))

    async def scenario(engine: SimulatedEngine, clock: Clock) -> list[float]:
        return await times(engine, clock, fixed(2))

    assert run(profile, scenario) == [11.0, 12.0]


def test_a_request_gets_the_same_text_alone_and_in_a_batch_of_64() -> None:
    prompts = [AUTHOR.tokenizer.encode(f"question number {number}") for number in range(64)]
    params = GenerationParams(max_tokens=60, seed=5)

    async def alone(engine: SimulatedEngine, clock: Clock) -> list[int]:
        return await token_ids(engine, prompts[7], params)

    async def together(engine: SimulatedEngine, clock: Clock) -> list[list[int]]:
        return await asyncio.gather(*(token_ids(engine, prompt, params) for prompt in prompts))

    batch = run(PROFILES["demo"], together)
    assert run(PROFILES["demo"], alone) == batch[7]
    assert run(PROFILES["instant"], together) == batch


def test_choices_of_a_request_have_their_index_and_end_separately() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> list[Delta]:
        stream = await engine.generate(PROMPT, GenerationParams(max_tokens=400, n=3), request_id="r")
        return [delta async for batch in stream for delta in batch]

    deltas = run(PROFILES["demo"], scenario)
    by_choice = [[delta for delta in deltas if delta.choice == choice] for choice in range(3)]
    assert all(own[-1].finish_reason == "stop" for own in by_choice)
    assert all(delta.finish_reason is None for own in by_choice for delta in own[:-1])
    assert len({tuple(delta.token_ids for delta in own) for own in by_choice}) == 3


@pytest.mark.parametrize("started", [False, True])
def test_closing_a_stream_frees_the_engine(started: bool) -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> None:
        stream = await engine.generate(PROMPT, fixed(1000, n=2), request_id="r")
        if started:
            await anext(stream)
            assert engine.stats().running == 2
        else:
            assert engine.stats().waiting == 2
        await stream.aclose()
        assert (engine.stats().running, engine.stats().waiting) == (0, 0)
        assert await times(engine, clock, fixed(1), start=clock.now() + 100)

    run(STEADY, scenario)


def test_closing_during_the_front_ends_delay_frees_it_too() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> None:
        stream = await engine.generate(PROMPT, fixed(1000), request_id="r")
        await stream.aclose()
        assert engine.stats().waiting == 0
        await clock.sleep_until(1.0)
        assert engine.stats().steps == 0

    run(PROFILES["demo"], scenario)


def test_counters_are_exact() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> None:
        await asyncio.gather(*(token_ids(engine, PROMPT, fixed(10, n=2)) for _ in range(5)))
        stats = engine.stats()
        assert (stats.requests, stats.prompt_tokens, stats.generated_tokens) == (5, 20, 100)

    run(STEADY, scenario)


def test_lag_is_published_and_empty_before_anything_is_timed() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> dict[str, float]:
        await token_ids(engine, PROMPT, fixed(5))
        return dict(engine.stats().lag_s)

    assert run(STEADY, scenario) == {"p50": 0.0, "p99": 0.0, "max": 0.0}
    assert run(PROFILES["instant"], scenario) == {}


def test_the_event_loop_gets_its_turns_while_an_instant_engine_runs() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> int:
        stream = await engine.generate(PROMPT, fixed(100_000), request_id="r")
        first = await anext(stream)
        await stream.aclose()
        return len(first)

    assert 0 < run(PROFILES["instant"], scenario, RealClock()) < 100


def test_a_stopped_engine_ends_its_streams_and_refuses() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> None:
        stream = await engine.generate(PROMPT, fixed(1000), request_id="r")
        await anext(stream)
        await engine.stop()
        with pytest.raises(EngineDeadError, match="stopped"):
            await anext(stream)
        with pytest.raises(EngineDeadError):
            engine.check_health()
        with pytest.raises(EngineDeadError):
            await engine.generate(PROMPT, fixed(1), request_id="r")
        await engine.start()
        assert len(await token_ids(engine, PROMPT, fixed(3))) == 3

    run(STEADY, scenario)


def test_a_death_of_the_step_loop_reaches_streams_and_health(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenClock(VirtualClock):
        async def sleep_until(self, when: float) -> None:
            raise ZeroDivisionError

    async def scenario(engine: SimulatedEngine, clock: Clock) -> None:
        stream = await engine.generate(PROMPT, fixed(1000), request_id="r")
        with pytest.raises(EngineDeadError, match="ZeroDivisionError"):
            await anext(stream)
        with pytest.raises(EngineDeadError, match="ZeroDivisionError"):
            engine.check_health()

    run(STEADY, scenario, BrokenClock())
    assert "the step loop failed" in caplog.text


def test_a_request_that_it_cannot_run_is_refused() -> None:
    async def scenario(engine: SimulatedEngine, clock: Clock) -> None:
        with pytest.raises(EngineError, match="'tuner' is not loaded; loaded: none"):
            await engine.generate(PROMPT, fixed(1), request_id="r", adapter="tuner")
        await engine.add_adapter(Adapter("tuner"))
        await (await engine.generate(PROMPT, fixed(1), request_id="r", adapter="tuner")).aclose()
        await engine.remove_adapter("tuner")
        with pytest.raises(EngineError, match="not loaded"):
            await engine.generate(PROMPT, fixed(1), request_id="r", adapter="tuner")
        with pytest.raises(EngineError, match="no tokens"):
            await engine.generate([], fixed(1), request_id="r")

    run(STEADY, scenario)
