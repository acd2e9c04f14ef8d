"""Turns token ids into text as they arrive, without ever showing half a character.

In byte-level and byte-fallback vocabularies, which nearly every model has today, each token stands for certain bytes,
and decoding these bytes gives the text. In others, a token's text depends on its neighbours, so a window is decoded.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import Protocol

_REPLACEMENT = "\ufffd"
_LONGEST_CHARACTER = 4  # bytes, and so tokens, at most
_WINDOW = 6  # tokens of context, enough for any merge of spaces or marks that tokenizers make


class TokenTable(Protocol):
    """What each token of a vocabulary shows."""

    def token_text(self, token_id: int) -> str | None:
        """The text of a single token, or None if it is part of a character."""

    def shown_bytes(self, token_id: int) -> bytes: ...


class IncrementalDetokenizer:
    """Holds bytes back until their character is complete, and never shows an incomplete one at the end."""

    __slots__ = ("_decoder", "_pending", "_table")

    def __init__(self, table: TokenTable) -> None:
        self._table = table
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = False

    def push(self, token_ids: Sequence[int]) -> str:
        if not self._pending and len(token_ids) == 1:
            text = self._table.token_text(token_ids[0])
            if text is not None:
                return text
        text = self._decoder.decode(b"".join([self._table.shown_bytes(i) for i in token_ids]))
        self._pending = bool(self._decoder.getstate()[0])
        return text


class WindowDetokenizer:
    """For any tokenizer that can decode: the text that new tokens add to a window of tokens."""

    def __init__(self, decode: Callable[[Sequence[int]], str], prompt_token_ids: Sequence[int] = ()) -> None:
        self._decode = decode
        self._ids = list(prompt_token_ids[-_WINDOW:])
        self._num_shown = len(self._ids)

    def push(self, token_ids: Sequence[int]) -> str:
        self._ids += token_ids
        before = self._decode(self._ids[: self._num_shown])
        after = self._decode(self._ids)
        waits = after.endswith(_REPLACEMENT) and len(self._ids) - self._num_shown < _LONGEST_CHARACTER
        if waits or len(after) <= len(before):
            return ""
        del self._ids[: max(0, self._num_shown - _WINDOW)]
        self._num_shown = len(self._ids)
        return after[len(before) :]
