"""What the engines without a model share: the bundled tokenizer, its chat template, adapters by name."""

import asyncio
from collections.abc import Sequence

from .base import DEFAULT_CHAT, Adapter, ChatOptions, ChatTurn, EngineInfo, Feature, check_template_kwargs
from .chat_template import render_chat
from .detokenizer import IncrementalDetokenizer
from .errors import EngineDeadError, EngineError
from .tokenizer import Tokenizer
from .worker import Worker

DEFAULT_MAX_MODEL_LEN = 32_768
FEATURES: frozenset[Feature] = frozenset(
    {"logprobs", "prompt_logprobs", "structured_outputs", "logit_bias", "allowed_token_ids", "bad_words"}
)
"""Of an engine whose tokens are the author's."""


def make_info(
    name: str,
    profile: str,
    max_model_len: int,
    vocab_size: int,
    features: frozenset[Feature],
    image_tokens: int | None = None,
) -> EngineInfo:
    return EngineInfo(
        name,
        profile,
        max_model_len,
        vocab_size,
        features=features,
        tool_format="hermes",
        reasoning_format="qwen3",
        image_tokens=image_tokens,
    )


class BundledText:
    """The textual half of an `Engine`; adapters need no files here."""

    info: EngineInfo

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._adapters: dict[str, Adapter] = {}
        self.worker = Worker()
        self._own_death: asyncio.Future[EngineDeadError] | None = None

    async def tokenize(self, text: str) -> list[int]:
        return self.tokenizer.encode(text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return self.tokenizer.decode(token_ids, special=True)

    def token_bytes(self, token_id: int) -> bytes:
        return self.tokenizer.shown_bytes(token_id) or self.tokenizer.decode([token_id], special=True).encode()

    async def render_chat(self, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT) -> list[int]:
        check_template_kwargs(options)
        return render_chat(self.tokenizer, turns, options, image_tokens=self.info.image_tokens or 0)

    def detokenizer(self, prompt_token_ids: Sequence[int]) -> IncrementalDetokenizer:
        return IncrementalDetokenizer(self.tokenizer)

    def own_metrics(self) -> bytes | None:
        return None

    async def wait_until_dead(self) -> EngineDeadError:
        if self._own_death is None:
            self._own_death = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._own_death)

    def die_by_itself(self, error: EngineDeadError) -> None:
        """Tells whoever waits for it."""
        if self._own_death is not None and not self._own_death.done():
            self._own_death.set_result(error)

    async def add_adapter(self, adapter: Adapter) -> None:
        self._adapters[adapter.name] = adapter

    async def remove_adapter(self, name: str) -> None:
        self._adapters.pop(name, None)

    def check_adapter(self, name: str | None) -> None:
        if name is not None and name not in self._adapters:
            raise EngineError(f"adapter {name!r} is not loaded; loaded: {', '.join(self._adapters) or 'none'}")
