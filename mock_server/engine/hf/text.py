"""The text part of an engine with a Hugging Face tokenizer: prompts, templates and detokenizing.

Long prompts take milliseconds, so a separate thread encodes and renders them. Short ones stay here: on a busy machine,
waiting for the thread would take far longer than they do. Only one runs at a time, since tokenizers are not
thread-safe.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from mock_server.engine.base import DEFAULT_CHAT, ChatOptions, ChatTurn, Detokenizer, check_template_kwargs
from mock_server.engine.detokenizer import IncrementalDetokenizer, WindowDetokenizer
from mock_server.engine.errors import PromptTooLongError, RequestRefusedError
from mock_server.engine.hf.token_bytes import VocabularyTable, piece_reader
from mock_server.engine.hf.token_length import longest_token
from mock_server.engine.json_length import text_length

_T = TypeVar("_T")

SHORT = 2000
"""This many characters take well under half a millisecond."""
_CHARACTERS_A_TOKEN = 4


class HfText:
    """Uses anything that `transformers.AutoTokenizer` loads. `chat_template` replaces the tokenizer's own, `fallback`
    is for tokenizers without one.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        chat_template: str | None = None,
        fallback: str | None = None,
        max_model_len: int | None = None,
    ) -> None:
        """`max_model_len`: refuse text that cannot fit this context before tokenizing it; None: no limit."""
        self._tokenizer = tokenizer
        self._max_model_len = max_model_len
        self._longest = longest_token(tokenizer)
        self._chat_template = chat_template or getattr(tokenizer, "chat_template", None) or fallback
        self._table = _vocabulary_table(tokenizer)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer")
        self._latest: Future[Any] | None = None

    @property
    def has_chat_template(self) -> bool:
        return bool(self._chat_template)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def tokenize(self, text: str) -> list[int]:
        """Adds the special tokens that the model's prompts begin with, if any. Raises `PromptTooLongError`."""
        self._check_length(len(text), "prompt")
        return await self._run(len(text), lambda: list(self._tokenizer.encode(text)))

    async def encode(self, text: str) -> list[int]:
        """Adds no special tokens."""
        return await self._run(len(text), lambda: list(self._tokenizer.encode(text, add_special_tokens=False)))

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        length = len(token_ids) * _CHARACTERS_A_TOKEN
        return await self._run(length, lambda: str(self._tokenizer.decode(list(token_ids), skip_special_tokens=False)))

    async def render_chat(self, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT) -> list[int]:
        """Raises `RequestRefusedError` with the template's own message."""
        if not self.has_chat_template:
            raise RequestRefusedError("the model has no chat template", "messages")
        check_template_kwargs(options)
        length = sum([len(turn.content) for turn in turns])
        others = [turn.fields for turn in turns if turn.fields]
        if others or options.tools or options.template_kwargs:
            length += await text_length([others, options.tools, options.template_kwargs])
        self._check_length(length, "messages")
        return await self._run(length, lambda: render_prompt(self._tokenizer, self._chat_template, turns, options))

    def _check_length(self, characters: int, field: str) -> None:
        """Raises `PromptTooLongError` for text that cannot fit, judged by its length alone."""
        if self._longest is None or self._max_model_len is None:
            return
        least = characters // self._longest
        if least > self._max_model_len:
            raise PromptTooLongError(self._max_model_len, least, field)

    def token_bytes(self, token_id: int) -> bytes:
        if self._table is not None:
            return self._table.token_bytes(token_id)
        return str(self._tokenizer.decode([token_id])).encode()

    def detokenizer(self, prompt_token_ids: Sequence[int]) -> Detokenizer:
        if self._table is not None:
            return IncrementalDetokenizer(self._table)
        return WindowDetokenizer(self._decode_shown, prompt_token_ids)

    def _decode_shown(self, token_ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=True))

    async def _run(self, length: int, work: Callable[[], _T]) -> _T:
        """Runs the work here or in the thread, in the order of the calls."""
        if length <= SHORT and (self._latest is None or self._latest.done()):
            return work()
        self._latest = future = self._thread.submit(work)
        # shielded: work whose client has left continues, and `done` must not report its end before
        return await asyncio.shield(asyncio.wrap_future(future))


def render_prompt(
    tokenizer: Any, chat_template: str | None, turns: Sequence[ChatTurn], options: ChatOptions = DEFAULT_CHAT
) -> list[int]:
    """Raises `RequestRefusedError` with the template's own message."""
    conversation = [{"role": turn.role, "content": turn.content, **turn.fields} for turn in turns]
    try:
        text = tokenizer.apply_chat_template(
            conversation,
            tokenize=False,
            add_generation_prompt=options.add_generation_prompt,
            continue_final_message=options.continue_final,
            chat_template=chat_template,
            tools=list(options.tools) or None,
            **options.template_kwargs,
        )
    except Exception as error:  # a template may fail in any way because of a client's values
        raise RequestRefusedError(f"the model's chat template refuses the messages: {error}", "messages") from error
    return list(tokenizer.encode(text, add_special_tokens=False))


def _vocabulary_table(tokenizer: Any) -> VocabularyTable | None:
    """None for tokenizers that are not fast ones, or have an unknown decoder."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    if decoder is None:
        return None
    read = piece_reader(json.loads(decoder.__getstate__()))
    if read is None:
        return None
    special_ids = {token_id for token_id, token in tokenizer.added_tokens_decoder.items() if token.special}
    return VocabularyTable(tokenizer.backend_tokenizer.id_to_token, read, special_ids)
