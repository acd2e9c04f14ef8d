"""The requests that run on vLLM's core, from their admission to their end, and what was counted of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mock_server.engine.base import EngineStats, GenerationParams
from mock_server.engine.errors import RequestRefusedError
from mock_server.engine.hf.adapters import LoadedAdapter, ServedAdapters
from mock_server.engine.vllm.batch_gate import BatchGate
from mock_server.engine.vllm.core_life import CoreLife
from mock_server.engine.vllm.stream import VllmStream

if TYPE_CHECKING:
    from mock_server.engine.vllm.library import VllmCore

_STREAM_END_S = 1.0


class VllmRequests:
    """With `weighs_prompts_alone`, a request for log probabilities of its prompt runs while no other request does."""

    def __init__(self, life: CoreLife, adapters: ServedAdapters, *, weighs_prompts_alone: bool) -> None:
        self._life = life
        self._adapters = adapters
        self._gate = BatchGate() if weighs_prompts_alone else None
        self._streams: dict[str, VllmStream] = {}
        self._numbers = itertools.count(1)
        self._idle = asyncio.Event()
        self._requests = self._prompt_tokens = self._generated_tokens = 0

    def start(
        self, prompt_token_ids: Sequence[int], params: GenerationParams, *, request_id: str, adapter: str | None
    ) -> VllmStream:
        """Raises an `EngineError` if the core refuses the request or cannot serve."""
        core = self._life.running
        sampling = core.sampling_params(params)
        if self._gate is not None and params.prompt_logprobs is not None and sampling.n > 1:
            raise RequestRefusedError(
                "n must be 1 for log probabilities of the prompt: this build of vLLM computes them for"
                " one sequence at a time when it serves adapters",
                "n",
            )
        loaded = None if adapter is None else self._adapters.acquire(adapter)
        unique_id = f"{request_id}-{next(self._numbers)}"  # clients may use an id twice
        outputs = core.generate(
            prompt_token_ids,
            sampling,
            request_id=unique_id,
            lora=None if loaded is None else loaded.request,
            priority=params.priority,
        )
        if self._gate is not None:
            outputs = self._gate.through(outputs, alone=params.prompt_logprobs is not None)
        stream = VllmStream(
            outputs,
            num_copies=params.n if sampling.n == 1 else 1,
            translate=self._life.translated,
            on_end=lambda: self._ended(unique_id, loaded),
        )
        self._streams[unique_id] = stream
        self._idle.clear()
        self._requests += 1
        self._prompt_tokens += len(prompt_token_ids)
        return stream

    def _ended(self, unique_id: str, loaded: LoadedAdapter | None) -> None:
        self._generated_tokens += self._streams.pop(unique_id).generated_tokens
        if not self._streams:
            self._idle.set()
        if loaded is not None:
            self._adapters.release(loaded)

    async def abort_all(self, core: VllmCore) -> None:
        """Aborts the requests in a core that is about to be shut down, and waits a moment for their streams to end."""
        if not self._streams:
            return
        await core.abort(list(self._streams))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STREAM_END_S):
                await self._idle.wait()

    def stats(self) -> EngineStats:
        """vLLM's own gauges if it keeps them; otherwise a request counts as running once it has a token."""
        running = waiting = None
        if self._life.core is not None:
            running = self._life.core.gauge("vllm:num_requests_running")
            waiting = self._life.core.gauge("vllm:num_requests_waiting")
        streams = self._streams.values()
        started = sum(bool(stream.generated_tokens) for stream in streams)
        return EngineStats(
            running=started if running is None else running,
            waiting=len(streams) - started if waiting is None else waiting,
            requests=self._requests,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens + sum(stream.generated_tokens for stream in streams),
        )
