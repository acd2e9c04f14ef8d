"""A real model behind the `Engine` protocol, run by transformers. Each part has its own class; this one joins them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from importlib.util import find_spec
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
from mock_server.engine.delta_queue import DeltaQueue
from mock_server.engine.errors import EngineDeadError, EngineError
from mock_server.engine.hf.adapters import ServedAdapters
from mock_server.engine.hf.text import HfText
from mock_server.engine.transformers.adapter_limits import AdapterLimits
from mock_server.engine.transformers.constraint import Grammars
from mock_server.engine.transformers.life import CoreLife
from mock_server.engine.transformers.options import ModelArguments
from mock_server.engine.transformers.problems import start_error
from mock_server.engine.transformers.request_params import RequestReader
from mock_server.engine.transformers.requests import TransformersRequests

if TYPE_CHECKING:
    from mock_server.engine.transformers.core import TransformersCore
    from mock_server.engine.transformers.loading import Loaded
    from mock_server.engine.transformers.outcome import Outcome

_FEATURES: frozenset[Feature] = frozenset(
    {"logprobs", "prompt_logprobs", "logit_bias", "allowed_token_ids", "bad_words"}
)
_log = logging.getLogger(__name__)


class _Parts(NamedTuple):
    """What the engine has once the model is loaded. All of it outlives the core."""

    info: EngineInfo
    text: HfText
    tokenizer: Any
    adapters: ServedAdapters
    requests: TransformersRequests


class TransformersEngine:
    """One model and its adapters. `adapters` is None if none may be loaded."""

    def __init__(
        self,
        arguments: ModelArguments,
        *,
        chat_template: str | None = None,
        fallback_chat_template: str | None = None,
        adapters: AdapterLimits | None = None,
    ) -> None:
        """`chat_template` replaces the tokenizer's own; the fallback is for a tokenizer that has none."""
        self._arguments = arguments
        self._templates: dict[str, str | None] = {"chat_template": chat_template, "fallback": fallback_chat_template}
        self._adapter_limits = adapters
        self._life = CoreLife()
        self._parts: _Parts | None = None

    @property
    def info(self) -> EngineInfo:
        return self._loaded.info

    @property
    def tokenizer(self) -> Any:
        """The model's own, from transformers."""
        return self._loaded.tokenizer

    async def start(self) -> None:
        began = time.perf_counter()
        try:
            core, loaded = await self._load()
        except EngineError:
            raise
        except Exception as error:
            raise start_error(error, self._arguments.model) from error
        self._parts = self._make_parts(loaded)
        self._life.begin(core)
        _log.info("%s is ready after %.1f s", self.info.profile, time.perf_counter() - began)

    async def _load(self) -> tuple[TransformersCore, Loaded]:
        # importing takes seconds, in which this task can be cancelled
        await asyncio.to_thread(__import__, "mock_server.engine.transformers.core")
        from mock_server.engine.transformers.core import TransformersCore

        core = TransformersCore(self._arguments, on_outcome=self._take, on_death=self._die)
        return core, await core.start()

    def _make_parts(self, loaded: Loaded) -> _Parts:
        facts, limits = loaded.facts, self._adapter_limits or AdapterLimits()
        text = HfText(loaded.tokenizer, max_model_len=facts.max_model_len, **self._templates)
        adapters = ServedAdapters(
            self._life,
            is_enabled=self._adapter_limits is not None,
            limit=limits.number,
            max_rank=limits.rank,
            model=self._arguments.model,
            library="peft",
        )
        reader = RequestReader(facts, text, Grammars(loaded.tokenizer, facts.vocab_size, facts.eos_ids))
        requests = TransformersRequests(self._life, adapters, reader, self._arguments.seed)
        info = EngineInfo(
            name="transformers",
            profile=f"{facts.version}-{facts.device}-{facts.dtype}",
            max_model_len=facts.max_model_len,
            vocab_size=facts.vocab_size,
            has_chat_template=text.has_chat_template,
            default_max_tokens=facts.default_max_tokens,
            features=_FEATURES | {"structured_outputs"} if find_spec("llguidance") else _FEATURES,
        )
        return _Parts(info, text, loaded.tokenizer, adapters, requests)

    def _take(self, outcome: Outcome) -> None:
        self._loaded.requests.take(outcome)

    def _die(self) -> None:
        self._loaded.requests.fail_all(self._life.die())

    async def stop(self) -> None:
        core = self._life.end()
        if self._parts is not None:
            self._parts.requests.fail_all(EngineDeadError("the engine was stopped"))
        if core is not None:
            await core.stop()
        if self._parts is not None:
            self._parts.text.close()

    def check_health(self) -> None:
        self._life.check()

    async def wait_until_dead(self) -> EngineDeadError:
        return await self._life.wait_until_dead()

    def stats(self) -> EngineStats:
        return self._loaded.requests.stats()

    def own_metrics(self) -> bytes | None:
        return None

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
    ) -> DeltaQueue:
        return await self._loaded.requests.start(prompt_token_ids, params, adapter=adapter)

    async def add_adapter(self, adapter: Adapter) -> None:
        await self._loaded.adapters.add(adapter)

    async def remove_adapter(self, name: str) -> None:
        await self._loaded.adapters.remove(name)

    @property
    def _loaded(self) -> _Parts:
        if self._parts is None:
            raise EngineDeadError("the engine has not been started")
        return self._parts
