"""Requests and adapters over a core that stands in for vLLM's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mock_server.engine.base import Adapter, GenerationParams
from mock_server.engine.errors import AdapterError, EngineDeadError, EngineError, RequestRefusedError
from mock_server.engine.hf.adapters import ServedAdapters
from mock_server.engine.vllm.core_life import CoreLife
from mock_server.engine.vllm.requests import VllmRequests
from tests.support.checkpoints import write_adapter, write_base

PARAMS = GenerationParams(max_tokens=2)


class Core:
    """Each request generates tokens until it is aborted, or two if it is not `endless`."""

    is_dead = False

    def __init__(self, *, endless: bool = False) -> None:
        self.aborted: set[str] = set()
        self.loras: dict[int, str] = {}
        self.has_removed = asyncio.Event()
        self._endless = endless

    def sampling_params(self, params: GenerationParams) -> Any:
        return SimpleNamespace(n=params.n)

    async def generate(
        self, prompt_token_ids: Sequence[int], sampling: Any, *, request_id: str, lora: Any, priority: int
    ) -> AsyncGenerator[Any, None]:
        for number in range(1_000_000 if self._endless else 2):
            is_aborted = request_id in self.aborted
            reason = "abort" if is_aborted else "length" if number == 1 and not self._endless else None
            completion = SimpleNamespace(index=0, token_ids=[number], finish_reason=reason, logprobs=None)
            yield SimpleNamespace(outputs=[completion], prompt_logprobs=None)
            if is_aborted:
                return
            await asyncio.sleep(0)

    async def abort(self, request_ids: Sequence[str]) -> None:
        self.aborted.update(request_ids)

    async def add_lora(self, name: str, number: int, path: str) -> Any:
        self.loras[number] = name
        return name

    async def remove_lora(self, number: int) -> None:
        del self.loras[number]
        self.has_removed.set()

    def gauge(self, name: str) -> int | None:
        return None

    @staticmethod
    def translated(error: Exception) -> EngineError:
        return error if isinstance(error, EngineError) else EngineError(str(error))


class Engine:
    """The classes of the engine, over a core."""

    def __init__(self, core: Core, base: str = "", *, is_enabled: bool = True, is_clean: bool = True) -> None:
        async def check(name: str) -> bool:
            return is_clean

        self.life = CoreLife()
        self.life.begin(cast(Any, core))
        self.adapters = ServedAdapters(self.life, is_enabled=is_enabled, limit=1, max_rank=16, model=base, check=check)
        self.requests = VllmRequests(self.life, self.adapters, weighs_prompts_alone=True)


def an_adapter(folder: Path) -> tuple[Adapter, str]:
    """An adapter, and the folder of the base that it fits."""
    base = str(write_base(folder / "base"))
    return Adapter("tuner", str(write_adapter(folder / "tuner", base=base))), base


def test_requests_are_counted_from_start_to_end() -> None:
    async def run() -> None:
        requests = Engine(Core()).requests
        stream = requests.start([1, 2, 3], PARAMS, request_id="a", adapter=None)
        waiting = requests.stats()
        assert (waiting.running, waiting.waiting, waiting.requests, waiting.prompt_tokens) == (0, 1, 1, 3)
        await anext(stream)
        running = requests.stats()
        assert (running.running, running.waiting, running.generated_tokens) == (1, 0, 1)
        assert [delta.finish_reason async for batch in stream for delta in batch] == ["length"]
        ended = requests.stats()
        assert (ended.running, ended.waiting, ended.requests, ended.generated_tokens) == (0, 0, 1, 2)

    asyncio.run(run())


def test_an_id_that_clients_use_twice_is_made_unique() -> None:
    async def run() -> None:
        core = Core(endless=True)
        engine = Engine(core)
        streams = [engine.requests.start([1], PARAMS, request_id="same", adapter=None) for _ in range(2)]
        for stream in streams:
            await anext(stream)
        await asyncio.gather(engine.requests.abort_all(cast(Any, core)), *(exhausted(stream) for stream in streams))
        assert core.aborted == {"same-1", "same-2"}

    asyncio.run(run())


async def exhausted(stream: Any) -> None:
    with pytest.raises(EngineError):
        async for _ in stream:
            pass


def test_the_stop_ends_running_streams_as_a_death() -> None:
    async def run() -> None:
        core = Core(endless=True)
        engine = Engine(core)
        stream = engine.requests.start([1], PARAMS, request_id="a", adapter=None)
        await anext(stream)
        engine.life.end()

        async def read() -> None:
            with pytest.raises(EngineDeadError, match="was stopped"):
                async for _ in stream:
                    pass

        await asyncio.gather(engine.requests.abort_all(cast(Any, core)), read())
        with pytest.raises(EngineDeadError):
            engine.requests.start([1], PARAMS, request_id="b", adapter=None)

    asyncio.run(run())


def test_a_build_that_weighs_prompts_alone_refuses_several_choices_of_them() -> None:
    requests = Engine(Core()).requests
    with pytest.raises(RequestRefusedError, match="n must be 1"):
        requests.start([1], GenerationParams(max_tokens=2, n=2, prompt_logprobs=0), request_id="a", adapter=None)


def test_an_adapter_leaves_the_core_with_the_last_request_that_uses_it(tmp_path: Path) -> None:
    async def run() -> None:
        core = Core()
        adapter, base = an_adapter(tmp_path)
        engine = Engine(core, base)
        await engine.adapters.add(adapter)
        stream = engine.requests.start([1], PARAMS, request_id="a", adapter=adapter.name)
        await engine.adapters.remove(adapter.name)
        assert core.loras == {1: adapter.name}
        with pytest.raises(EngineError, match="is not loaded"):
            engine.requests.start([1], PARAMS, request_id="b", adapter=adapter.name)
        with pytest.raises(AdapterError, match="--max-loras 2"):  # it still takes its room
            await engine.adapters.add(adapter)
        await stream.aclose()
        await core.has_removed.wait()
        assert core.loras == {}
        await engine.adapters.add(adapter)
        assert core.loras == {2: f"{adapter.name}#2"}  # vLLM caches prefixes by the name

    asyncio.run(run())


def test_an_adapter_that_affects_the_base_is_refused_and_removed(tmp_path: Path) -> None:
    async def run() -> None:
        core = Core()
        adapter, base = an_adapter(tmp_path)
        with pytest.raises(AdapterError, match="none of its answers can be trusted"):
            await Engine(core, base, is_clean=False).adapters.add(adapter)
        assert core.loras == {}

    asyncio.run(run())


def test_without_room_for_adapters_each_call_names_the_option() -> None:
    async def run() -> None:
        engine = Engine(Core(), is_enabled=False)
        with pytest.raises(AdapterError, match="--enable-lora true"):
            await engine.adapters.add(Adapter("a", "/a"))
        with pytest.raises(AdapterError, match="--enable-lora true"):
            engine.requests.start([1], PARAMS, request_id="a", adapter="a")

    asyncio.run(run())
