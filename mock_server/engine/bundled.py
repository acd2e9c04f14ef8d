"""What the engines without a model share: the bundled tokenizer, its chat template, adapters by name."""

from collections.abc import Sequence

from .base import Adapter, ChatTurn, EngineError
from .chat_template import render_chat
from .tokenizer import IncrementalDetokenizer, Tokenizer

DEFAULT_MAX_MODEL_LEN = 32_768


class BundledText:
    """The textual half of an `Engine`; adapters need no files here."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._adapters: dict[str, Adapter] = {}

    async def tokenize(self, text: str) -> list[int]:
        return self.tokenizer.encode(text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return self.tokenizer.decode(token_ids, special=True)

    async def render_chat(
        self, turns: Sequence[ChatTurn], *, add_generation_prompt: bool = True, continue_final: bool = False
    ) -> list[int]:
        return render_chat(
            self.tokenizer, turns, add_generation_prompt=add_generation_prompt, continue_final=continue_final
        )

    def detokenizer(self) -> IncrementalDetokenizer:
        return IncrementalDetokenizer(self.tokenizer)

    async def add_adapter(self, adapter: Adapter) -> None:
        self._adapters[adapter.name] = adapter

    async def remove_adapter(self, name: str) -> None:
        self._adapters.pop(name, None)

    def check_adapter(self, name: str | None) -> None:
        if name is not None and name not in self._adapters:
            raise EngineError(f"adapter {name!r} is not loaded; loaded: {', '.join(self._adapters) or 'none'}")
