"""The check of adapters, against scripted engines with the fault that it looks for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Adapter, Delta, PositionLogprobs, TokenLogprob
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from mock_server.engine.vllm.adapter_check import base_rows_are_clean, distance

BASE, ADAPTER = -1.0, -3.0


class Engine(ScriptedEngine):
    """Finds every token as likely as the base or the adapter does; the base's rows are `leak` of the way to the
    adapter while one of the adapter's is under way.
    """

    def __init__(self, leak: float, adapter: float = ADAPTER, noise: float = 0.0) -> None:
        super().__init__(self.speak, RealClock(), Tokenizer())
        self.leak, self.adapter, self.noise = leak, adapter, noise
        self.asked: list[str | None] = []

    def speak(self, request: ScriptedRequest) -> Iterator[TimedDelta]:
        self.asked.append(request.adapter)
        is_mixed = len(self.asked) > 2
        base = BASE + (self.leak * (self.adapter - BASE) + self.noise if is_mixed else 0.0)
        logprob = base if request.adapter is None else self.adapter
        positions = [PositionLogprobs(TokenLogprob(7, logprob, 1), ())] * request.params.max_tokens
        yield TimedDelta(0.0, Delta(0, [7] * request.params.max_tokens, "length", positions))


def verdict(engine: Engine) -> bool:
    async def main() -> bool:
        await engine.start()
        await engine.add_adapter(Adapter("tuner"))
        try:
            return await base_rows_are_clean(engine, "tuner")
        finally:
            await engine.stop()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("engine", "clean"),
    [
        (Engine(leak=0.0), True),
        (Engine(leak=1.0), False),
        (Engine(leak=0.0, noise=0.3), True),  # sums in another order, as in bfloat16
        (Engine(leak=1.0, noise=0.3), False),
        (Engine(leak=1.0, adapter=BASE), True),  # an adapter that changes nothing cannot affect the base
    ],
)
def test_base_rows_that_answer_like_the_adapter_are_detected(engine: Engine, clean: bool) -> None:
    assert verdict(engine) is clean
    assert engine.asked == [None, "tuner", None, "tuner", None, "tuner"]


def test_the_distance_covers_all_positions() -> None:
    assert distance([-1.0, -2.0], [-1.5, -1.0]) == 1.5
    with pytest.raises(ValueError, match="shorter"):
        distance([-1.0], [])
