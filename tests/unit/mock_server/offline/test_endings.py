"""What happens to rows under way when their stream is left or their engine ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mock_server.engine.errors import EngineDeadError
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from mock_server.offline import RowsFailedError, inference_stream_vllm, inference_vllm
from tests.unit.mock_server.offline.engines import (
    TOKENIZER,
    BundledTemplate,
    asked,
    echo,
    local_engine,
    one_word_then_nothing,
    scripted,
)

TEMPLATE = BundledTemplate()


def test_leaving_a_stream_aborts_it_in_the_engine() -> None:
    with local_engine(scripted(one_word_then_nothing)) as engine:
        for shown in inference_stream_vllm(engine, TEMPLATE, asked("go on"), flush_steps=1):
            assert shown[0] is not None
            assert engine.core.stats().running == 1
            break
        stream = inference_stream_vllm(engine, TEMPLATE, asked("go on", "and on"), flush_steps=1)
        next(stream)
        del stream
        assert engine.core.stats().running == 0


def test_a_stream_collected_in_the_engines_own_thread_is_aborted() -> None:
    """The garbage collector may run in that thread, which cannot wait for itself."""

    async def forget() -> None:
        streams.clear()
        while engine.core.stats().running:  # noqa: ASYNC110 - nobody tells when it is aborted
            await asyncio.sleep(0)

    with local_engine(scripted(one_word_then_nothing)) as engine:
        streams = [inference_stream_vllm(engine, TEMPLATE, asked("go on"), flush_steps=1)]
        next(streams[0])
        engine.run(forget())
        assert engine.core.stats().running == 0


def test_a_shutdown_ends_all_calls_and_later_ones_report_it() -> None:
    with local_engine(scripted(one_word_then_nothing)) as engine:
        stream = inference_stream_vllm(engine, TEMPLATE, asked("go on"), flush_steps=1)
        next(stream)
        engine.shutdown()
        with pytest.raises(RowsFailedError, match="the engine was stopped"):
            next(stream)
        engine.shutdown()
        with pytest.raises(EngineDeadError, match="shut down"):
            inference_vllm(engine, TEMPLATE, asked("anyone"))
        assert "shut down" in repr(engine)


class EndsItself(ScriptedEngine):
    """Stops without ending its streams, as vLLM does when they do not end in time."""

    async def stop(self) -> None:
        self._death = EngineDeadError("the engine was stopped")


def test_rows_left_open_by_a_shutdown_fail_with_its_error() -> None:
    def answers_good(request: ScriptedRequest) -> Iterator[TimedDelta]:
        is_good = "good" in TOKENIZER.decode(request.prompt_token_ids)
        yield from echo(request) if is_good else one_word_then_nothing(request)

    with local_engine(EndsItself(answers_good, RealClock(), TOKENIZER)) as engine:
        stream = inference_stream_vllm(engine, TEMPLATE, asked("good", "go on"), flush_steps=1, strict=False)
        shown = next(stream)
        while None in shown:
            shown = next(stream)
        engine.shutdown()
        *_, shown = stream
    assert [row and row["response"] for row in shown] == ["good", None]
    assert "the engine was stopped" in str(shown[1] and shown[1].get("error"))
