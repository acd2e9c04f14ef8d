"""What the engines without a model share: the bundled tokenizer, its chat template, adapters by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from mock_server.engine.author.chat_template import all_turns, calls_text, chat_pieces, render_chat
from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import (
    DEFAULT_CHAT,
    Adapter,
    ChatOptions,
    ChatTurn,
    EngineInfo,
    Feature,
    GenerationParams,
    PositionLogprobs,
    check_template_kwargs,
)
from mock_server.engine.detokenizer import IncrementalDetokenizer
from mock_server.engine.errors import EngineDeadError, EngineError, PromptTooLongError
from mock_server.engine.json_length import text_length
from mock_server.engine.sim.worker import Worker

DEFAULT_MAX_MODEL_LEN = 32_768
FEATURES: frozenset[Feature] = frozenset(
    {"logprobs", "prompt_logprobs", "structured_outputs", "logit_bias", "allowed_token_ids", "bad_words"}
)
"""The facts of an engine whose tokens are the author's."""


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


_SHORT = 1_000
_FEW = 32
_SHORT_PROMPT = 100
_PIECES_A_TURN, _LONG_PIECE = 32, 128
_MOST_CHARACTERS = 2_000_000  # longer text is tokenized only if it may fit the context
_MOST_TOKENS = 500_000


class BundledText:
    """The textual half of an `Engine`; adapters need no files here."""

    info: EngineInfo

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._adapters: dict[str, Adapter] = {}
        self.worker = Worker()
        self._own_death: asyncio.Future[EngineDeadError] | None = None

    async def tokenize(self, text: str) -> list[int]:
        if len(text) <= _SHORT:
            return self.tokenizer.encode(text)
        self._check_length(len(text), "prompt")
        return await self._gathered(self.tokenizer.pieces(text), "prompt")

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        if len(token_ids) <= _SHORT:
            return self.tokenizer.decode(token_ids, special=True)
        data = bytearray()
        for start in range(0, len(token_ids), _SHORT):
            data += self.tokenizer.written_bytes(token_ids[start : start + _SHORT])
            await asyncio.sleep(0)
        return data.decode("utf-8", "replace")

    def token_bytes(self, token_id: int) -> bytes:
        return self.tokenizer.shown_bytes(token_id) or self.tokenizer.decode([token_id], special=True).encode()

    async def render_chat(self, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT) -> list[int]:
        check_template_kwargs(options)
        image_tokens = self.info.image_tokens or 0
        is_plain = not (image_tokens or options.tools or options.template_kwargs) and len(turns) <= _FEW
        if is_plain and sum([_SHORT + 1 if turn.fields else len(turn.content) for turn in turns]) <= _SHORT:
            return render_chat(self.tokenizer, turns, options, image_tokens=image_tokens)
        everything = await self._written_turns(turns, options)
        images = sum(turn.images for turn in turns)
        characters = sum(len(turn.content) for turn in everything)
        self._check_length(characters + images * image_tokens * self.tokenizer.longest_piece, "messages")
        pieces = chat_pieces(self.tokenizer, everything, options, image_tokens=image_tokens)
        return await self._gathered(pieces, "messages")

    async def _written_turns(self, turns: Sequence[ChatTurn], options: ChatOptions) -> list[ChatTurn]:
        """All turns, with their calls as text. Raises `PromptTooLongError` before it writes calls that cannot fit."""
        called = [calls for turn in turns if turn.fields and (calls := turn.fields.get("tool_calls"))]
        self._check_length(await text_length([options.tools, called]), "messages")
        written: list[ChatTurn] = []
        for turn in all_turns(turns, options):
            if turn.fields.get("tool_calls"):
                turn = ChatTurn(turn.role, turn.content + calls_text(turn), images=turn.images)
                if len(turn.content) > _SHORT:
                    await asyncio.sleep(0)
            written.append(turn)
        return written

    async def _gathered(self, pieces: Iterable[Sequence[int]], field: str) -> list[int]:
        """All ids. Other requests run between the pieces. Raises `PromptTooLongError`."""
        ids: list[int] = []
        most = max(_MOST_TOKENS, 4 * self.info.max_model_len)
        for number, piece in enumerate(pieces, 1):
            ids += piece
            if len(piece) > _LONG_PIECE or number % _PIECES_A_TURN == 0:
                await asyncio.sleep(0)
                if len(ids) > most:
                    raise PromptTooLongError(self.info.max_model_len, len(ids), field)
        return ids

    def _check_length(self, characters: int, field: str) -> None:
        """Raises `PromptTooLongError` for text that cannot fit, judged by its length alone."""
        least = characters // self.tokenizer.longest_piece
        if characters > _MOST_CHARACTERS and least > self.info.max_model_len:
            raise PromptTooLongError(self.info.max_model_len, least, field)

    def detokenizer(self, prompt_token_ids: Sequence[int]) -> IncrementalDetokenizer:
        return IncrementalDetokenizer(self.tokenizer)

    async def prompt_logprobs(
        self, author: Author, prompt_token_ids: Sequence[int], params: GenerationParams
    ) -> list[PositionLogprobs | None] | None:
        """None if they were not requested."""
        if params.prompt_logprobs is None or len(prompt_token_ids) <= _SHORT_PROMPT:
            return author.prompt_logprobs(prompt_token_ids, params)
        return await self.worker.run_in_thread(lambda: author.prompt_logprobs(prompt_token_ids, params))

    def own_metrics(self) -> bytes | None:
        return None

    async def wait_until_dead(self) -> EngineDeadError:
        if self._own_death is None:
            self._own_death = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._own_death)

    def die_by_itself(self, error: EngineDeadError) -> None:
        """Reports the engine's death to its waiters."""
        if self._own_death is not None and not self._own_death.done():
            self._own_death.set_result(error)

    async def add_adapter(self, adapter: Adapter) -> None:
        self._adapters[adapter.name] = adapter

    async def remove_adapter(self, name: str) -> None:
        self._adapters.pop(name, None)

    def check_adapter(self, name: str | None) -> None:
        if name is not None and name not in self._adapters:
            raise EngineError(f"adapter {name!r} is not loaded; loaded: {', '.join(self._adapters) or 'none'}")
