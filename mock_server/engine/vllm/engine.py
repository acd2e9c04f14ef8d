"""A real model behind the `Engine` protocol, run by vLLM. Each part has a class of its own; this one joins them."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

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
from mock_server.engine.errors import EngineDeadError
from mock_server.engine.hf.adapters import ServedAdapters
from mock_server.engine.hf.text import HfText
from mock_server.engine.vllm.adapter_check import base_rows_are_clean
from mock_server.engine.vllm.core_life import CoreLife
from mock_server.engine.vllm.loading import CoreLoading
from mock_server.engine.vllm.requests import VllmRequests
from mock_server.engine.vllm.stream import VllmStream

if TYPE_CHECKING:
    from mock_server.engine.vllm.library import ModelFacts, VllmCore

_FEATURES: frozenset[Feature] = frozenset(
    {"logprobs", "prompt_logprobs", "structured_outputs", "logit_bias", "allowed_token_ids", "bad_words"}
)
_log = logging.getLogger(__name__)


class _Parts(NamedTuple):
    """What the engine has once the model is loaded. All of it outlives the core."""

    info: EngineInfo
    text: HfText
    adapters: ServedAdapters
    requests: VllmRequests


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
        """`chat_template` replaces the tokenizer's own; the fallback is for a tokenizer that has none.

        `check_adapters`: refuse an adapter if this build of vLLM applies it to the base model's rows as well.
        """
        self._arguments = arguments
        self._templates: dict[str, str | None] = {"chat_template": chat_template, "fallback": fallback_chat_template}
        self._check_adapters = check_adapters
        self._loading = CoreLoading(arguments)
        self._life = CoreLife()
        self._parts: _Parts | None = None

    @property
    def info(self) -> EngineInfo:
        return self._loaded.info

    @property
    def facts(self) -> ModelFacts:
        """What vLLM found out about the model and itself."""
        return self._life.running.facts

    @property
    def tokenizer(self) -> Any:
        """The model's own, from transformers."""
        return self._life.running.tokenizer

    async def start(self) -> None:
        began = time.perf_counter()
        core = await self._loading.load()
        self._life.begin(core)
        self._parts = self._make_parts(core)
        _log.info("%s is ready after %.1f s", self.info.profile, time.perf_counter() - began)

    def _make_parts(self, core: VllmCore) -> _Parts:
        facts = core.facts
        text = HfText(core.tokenizer, max_model_len=facts.max_model_len, **self._templates)
        adapters = ServedAdapters(
            self._life,
            is_enabled=facts.has_adapters,
            limit=facts.adapter_limit,
            max_rank=facts.max_adapter_rank,
            model=str(self._arguments["model"]),
            check=partial(base_rows_are_clean, self) if self._check_adapters else None,
        )
        requests = VllmRequests(self._life, adapters, weighs_prompts_alone=facts.weighs_prompts_alone)
        return _Parts(_make_info(facts, text), text, adapters, requests)

    async def stop(self) -> None:
        core = self._life.end()
        if core is not None:
            if not core.is_dead:
                await self._loaded.requests.abort_all(core)
            core.shutdown()  # in the event loop's thread: elsewhere, vLLM's own tasks would take the end for a death
            del core
            gc.collect()  # objects of vLLM that are left when the interpreter ends print complaints
        if self._parts is not None:
            self._parts.text.close()
        self._loading.clean_up()

    def check_health(self) -> None:
        self._life.check()

    async def wait_until_dead(self) -> EngineDeadError:
        return await self._life.wait_until_dead()

    def stats(self) -> EngineStats:
        return self._loaded.requests.stats()

    def own_metrics(self) -> bytes | None:
        return None if self._life.core is None else self._life.core.exposition()

    async def tokenize(self, text: str) -> list[int]:
        return await self._loaded.text.tokenize(text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return await self._loaded.text.detokenize(token_ids)

    def token_bytes(self, token_id: int) -> bytes:
        return self._loaded.text.token_bytes(token_id)

    async def render_chat(self, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT) -> list[int]:
        return await self._loaded.text.render_chat(turns, options)

    def detokenizer(self, prompt_token_ids: Sequence[int]) -> Detokenizer:
        return self._loaded.text.detokenizer(prompt_token_ids)

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: GenerationParams,
        *,
        request_id: str,
        adapter: str | None = None,
    ) -> VllmStream:
        return self._loaded.requests.start(prompt_token_ids, params, request_id=request_id, adapter=adapter)

    async def add_adapter(self, adapter: Adapter) -> None:
        await self._loaded.adapters.add(adapter)

    async def remove_adapter(self, name: str) -> None:
        await self._loaded.adapters.remove(name)

    @property
    def _loaded(self) -> _Parts:
        if self._parts is None:
            raise EngineDeadError("the engine has not been started")
        return self._parts


def _make_info(facts: ModelFacts, text: HfText) -> EngineInfo:
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
