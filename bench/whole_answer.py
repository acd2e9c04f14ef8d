"""An answer in one piece, by a partial decode: whether it holds anything, its usage, how it ended. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.events import Usage, read_odd


class _Message(msgspec.Struct, gc=False):
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _WholeChoice(msgspec.Struct, gc=False):
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class WholeAnswer(msgspec.Struct, gc=False):
    """An answer that came in one piece."""

    choices: list[_WholeChoice]
    usage: Usage | None = None

    @property
    def finish_reason(self) -> str | None:
        return (self.choices[0].finish_reason if self.choices else None) or None

    @property
    def completion_tokens(self) -> int | None:
        """The tokens of the answer by the server's usage, None when it sent none."""
        return None if self.usage is None else self.usage.completion_tokens

    @property
    def has_text(self) -> bool:
        """Whether it holds anything that was generated."""
        if not self.choices:
            return False
        message = self.choices[0].message
        if message is None:
            return bool(self.choices[0].text)
        said = (message.content, message.reasoning, message.reasoning_content, message.refusal)
        return any((*said, message.tool_calls, message.function_call))


_decode_whole = msgspec.json.Decoder(WholeAnswer).decode


def read_whole(body: bytes) -> WholeAnswer:
    """The answer that a body holds. Raises ChunkError."""
    try:
        return _decode_whole(body)
    except (ValueError, RecursionError) as error:
        return read_odd(body, WholeAnswer, error)
