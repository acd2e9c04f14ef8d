"""A real model behind the `Engine` protocol, run by vLLM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mock_server.engine.base import (
    DEFAULT_CHAT,
    Adapter,
    ChatOptions,
    ChatTurn,
    Detokenizer,
    EngineInfo,
    EngineStats,
    Feature,
    GenerationParams,
)
from mock_server.engine.errors import AdapterError, EngineDeadError, EngineError, RequestRefusedError
from mock_server.engine.hf.text import HfText
from mock_server.engine.vllm.adapter_check import base_rows_are_clean
from mock_server.engine.vllm.adapters import LoadedAdapter, VllmAdapters
from mock_server.engine.vllm.batch_gate import BatchGate
from mock_server.engine.vllm.environment import forget, prepare
from mock_server.engine.vllm.problems import start_error
from mock_server.engine.vllm.stream import VllmStream
from mock_server.engine.wording import Setting

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from mock_server.engine.vllm.library import ModelFacts, VllmCore

_FEATURES: frozenset[Feature] = frozenset(
    {"logprobs", "prompt_logprobs", "structured_outputs", "logit_bias", "allowed_token_ids", "bad_words"}
)
_HEALTH_INTERVAL_S = 1.0
_STREAM_END_S = 1.0
_CHILD_END_S = 0.5
_log = logging.getLogger(__name__)


class VllmEngine:
    """One model and its adapters, by vLLM's own engine arguments."""

    def __init__(
        self,
        arguments: Mapping[str, Any],
        *,
        chat_template: str | None = None,
        fallback_chat_template: str | None = None,
        check_adapters: bool = True,
    ) -> None:
        """`chat_template` replaces the tokenizer's own, the fallback is for a tokenizer that has none.

        `check_adapters`: each adapter is refused that this build of vLLM mixes into the base's rows."""
        self._arguments = arguments
        self._templates: dict[str, str | None] = {"chat_template": chat_template, "fallback": fallback_chat_template}
        self._check_adapters = check_adapters
        self._core: VllmCore | None = None
        self._text: HfText | None = None
        self._info: EngineInfo | None = None
        self._adapters: VllmAdapters | None = None
        self._gate: BatchGate | None = None
        self._streams: dict[str, VllmStream] = {}
        self._numbers = itertools.count(1)
        self._changing = asyncio.Lock()
        self._idle = asyncio.Event()
        self._died = asyncio.Event()
        self._folder: TemporaryDirectory[str] | None = None
        self._death: EngineDeadError | None = EngineDeadError("the engine has not been started")
        self._requests = self._prompt_tokens = self._generated_tokens = 0

    @property
    def info(self) -> EngineInfo:
        if self._info is None:
            raise EngineDeadError("the engine has not been started")
        return self._info

    @property
    def facts(self) -> ModelFacts:
        """What vLLM found out about the model and itself."""
        return self._running_core().facts

    @property
    def tokenizer(self) -> Any:
        """The model's own, of transformers."""
        return self._running_core().tokenizer

    async def start(self) -> None:
        began = time.perf_counter()
        self._folder = TemporaryDirectory(prefix="streamgauge-")
        log_file = Path(self._folder.name, "errors")
        prepare(os.environ, log_file)
        try:
            core = await self._load()
        except EngineError:
            raise
        except Exception as error:
            raise start_error(error, log_file, self._arguments) from error
        self._core = core
        self._text = HfText(core.tokenizer, max_model_len=core.facts.max_model_len, **self._templates)
        self._info = _make_info(core, self._text)
        self._gate = BatchGate() if core.facts.weighs_prompts_alone else None
        if core.facts.has_adapters:
            limit, max_rank = core.facts.adapter_limit, core.facts.max_adapter_rank
            model = str(self._arguments["model"])
            self._adapters = VllmAdapters(core, limit=limit, max_rank=max_rank, model=model)
        self._death = None
        _log.info("%s is ready after %.1f s", self._info.profile, time.perf_counter() - began)

    async def _load(self) -> VllmCore:
        """In a thread: the loop stays free to be told that nobody waits any longer."""
        wanted = True
        loop = asyncio.get_running_loop()
        # in a call of its own: something that vLLM imports keeps the frames it was imported by, and all they hold
        await loop.run_in_executor(None, import_module, "mock_server.engine.vllm.library")

        def load() -> VllmCore:
            from mock_server.engine.vllm.library import VllmCore

            if not wanted:
                raise EngineDeadError("nobody waits for the engine any longer")
            return VllmCore(self._arguments)

        others = set(multiprocessing.active_children())
        loading = loop.run_in_executor(None, load)
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            wanted = False
            await _abandon(loading, others)
            raise

    async def stop(self) -> None:
        if self._death is None:
            self._death = EngineDeadError("the engine was stopped")
        core, self._core = self._core, None
        if core is not None:
            if self._streams and not core.is_dead:
                await core.abort(list(self._streams))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STREAM_END_S):
                        await self._idle.wait()
            core.shutdown()  # in the loop's thread: its own tasks there would take the end for a death
            del core
            self._adapters = None
            gc.collect()  # what is left of vLLM when the interpreter ends complains about it
        if self._text is not None:
            self._text.close()
        if self._folder is not None:
            forget(os.environ, Path(self._folder.name))
            self._folder.cleanup()

    def check_health(self) -> None:
        if self._death is None and self._core is not None and self._core.is_dead:
            self._death = EngineDeadError("the engine has died; the server's log tells why")
        if self._death is not None:
            raise self._death

    async def wait_until_dead(self) -> EngineDeadError:
        while True:
            with contextlib.suppress(TimeoutError):  # vLLM tells nobody, unless a stream comes to know of it
                async with asyncio.timeout(_HEALTH_INTERVAL_S):
                    await self._died.wait()
            if self._core is not None and self._core.is_dead:
                return EngineDeadError("the engine has died; the log above tells why")
            self._died.clear()

    def stats(self) -> EngineStats:
        running = waiting = None
        if self._core is not None:
            running = self._core.gauge("vllm:num_requests_running")
            waiting = self._core.gauge("vllm:num_requests_waiting")
        started = sum(bool(stream.generated_tokens) for stream in self._streams.values())
        return EngineStats(
            running=started if running is None else running,
            waiting=len(self._streams) - started if waiting is None else waiting,
            requests=self._requests,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens + sum(stream.generated_tokens for stream in self._streams.values()),
        )

    def own_metrics(self) -> bytes | None:
        return None if self._core is None else self._core.exposition()

    async def tokenize(self, text: str) -> list[int]:
        return await self._running_text().tokenize(text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return await self._running_text().detokenize(token_ids)

    def token_bytes(self, token_id: int) -> bytes:
        return self._running_text().token_bytes(token_id)

    async def render_chat(self, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT) -> list[int]:
        return await self._running_text().render_chat(turns, options)

    def detokenizer(self, prompt_token_ids: Sequence[int]) -> Detokenizer:
        return self._running_text().detokenizer(prompt_token_ids)

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: GenerationParams,
        *,
        request_id: str,
        adapter: str | None = None,
    ) -> VllmStream:
        core = self._running_core()
        sampling = core.sampling_params(params)
        if self._gate is not None and params.prompt_logprobs is not None and sampling.n > 1:
            raise RequestRefusedError(
                "n must be 1 for log probabilities of the prompt: this build of vLLM computes them for"
                " one sequence at a time when it serves adapters",
                "n",
            )
        loaded = None if adapter is None else self._loaded().acquire(adapter)
        unique_id = f"{request_id}-{next(self._numbers)}"  # clients repeat theirs
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
            translate=self._translated,
            on_end=lambda: self._ended(unique_id, loaded),
        )
        self._streams[unique_id] = stream
        self._idle.clear()
        self._requests += 1
        self._prompt_tokens += len(prompt_token_ids)
        return stream

    def _translated(self, error: Exception) -> EngineError:
        if self._death is not None:
            return self._death
        found = self._running_core().translated(error)
        if isinstance(found, EngineDeadError):
            self._died.set()
        elif type(found) is EngineError:
            _log.error("the engine failed a request", exc_info=error)
        return found

    def _ended(self, unique_id: str, loaded: LoadedAdapter | None) -> None:
        self._generated_tokens += self._streams.pop(unique_id).generated_tokens
        if not self._streams:
            self._idle.set()
        if loaded is not None:
            self._loaded().release(loaded)

    async def add_adapter(self, adapter: Adapter) -> None:
        adapters = self._loaded()
        async with self._changing:
            await adapters.load(adapter)
            if self._check_adapters and not await base_rows_are_clean(self, adapter.name):
                await adapters.unload(adapter.name)
                raise AdapterError(
                    f"this build of vLLM answers requests for the base model with the adapter {adapter.name} when both"
                    " run at once, so none of its answers can be trusted. Use another build; or, to serve all the same,"
                    " ",
                    Setting("lora_self_test", False),
                    ".",
                )

    async def remove_adapter(self, name: str) -> None:
        await self._loaded().unload(name)

    def _loaded(self) -> VllmAdapters:
        if self._adapters is None:
            raise AdapterError(
                "this server was started without room for adapters: start it with ", Setting("enable_lora", True)
            )
        return self._adapters

    def _running_core(self) -> VllmCore:
        self.check_health()
        if self._core is None:
            raise EngineDeadError("the engine has not been started")
        return self._core

    def _running_text(self) -> HfText:
        if self._text is None:
            raise EngineDeadError("the engine has not been started")
        return self._text


def _make_info(core: VllmCore, text: HfText) -> EngineInfo:
    facts = core.facts
    return EngineInfo(
        name="vllm",
        profile=f"{facts.version}-{facts.device}-{facts.dtype}",
        max_model_len=facts.max_model_len,
        vocab_size=facts.vocab_size,
        has_chat_template=text.has_chat_template,
        default_max_tokens=facts.default_max_tokens,
        max_logprobs=facts.max_logprobs,
        features=_FEATURES | {"priority"} if facts.has_priorities else _FEATURES,
    )


async def _abandon(loading: asyncio.Future[VllmCore], others: set[BaseProcess]) -> None:
    """Ends a start that nobody waits for any longer, and every process begun since but those of `others`."""
    while not loading.done():
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
        await asyncio.wait({loading}, timeout=_CHILD_END_S)
    if not loading.cancelled() and loading.exception() is None:
        await asyncio.to_thread(loading.result().shutdown)
