"""Token ids to text, as they come, without ever showing half a character.

Where each token stands for bytes of its own (byte-level and byte-fallback vocabularies, which is nearly every
model today), text is those bytes decoded. Where a token's text depends on its neighbours, a window is decoded.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import Protocol

_REPLACEMENT = "\ufffd"
_LONGEST_CHARACTER = 4  # bytes, so tokens at most
_WINDOW = 6  # tokens of context, enough for any merge of spaces or marks that tokenizers make


class TokenTable(Protocol):
    """What each token of a vocabulary shows."""

    def token_text(self, token_id: int) -> str | None:
        """What a token shows by itself, or None when it is part of a character."""

    def shown_bytes(self, token_id: int) -> bytes: ...


class IncrementalDetokenizer:
    """Bytes wait until their character is whole; a rest at the end is never shown."""

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
    """For any tokenizer that can decode: the text that a window of tokens gains by the new ones."""

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
