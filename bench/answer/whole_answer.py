"""An answer in one piece, decoded in part: whether it holds anything, its usage, how it ended. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.answer.events import MOST_REASON, Usage, read_odd


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


class _Whole(msgspec.Struct, gc=False):
    choices: list[_WholeChoice]
    usage: Usage | None = None


class WholeAnswer(msgspec.Struct, frozen=True, gc=False):
    """What the figures need of an answer in one piece. The text is not kept."""

    finish_reason: str | None
    has_text: bool
    usage: Usage | None

    @property
    def completion_tokens(self) -> int | None:
        """The tokens of the answer by the server's usage; None if there is no usage."""
        return None if self.usage is None else self.usage.completion_tokens


_decode_whole = msgspec.json.Decoder(_Whole).decode


def read_whole(body: bytes) -> WholeAnswer:
    """The answer in a body. Raises ChunkError."""
    try:
        found = _decode_whole(body)
    except (ValueError, RecursionError) as error:
        found = read_odd(body, _Whole, error)
    choice = found.choices[0] if found.choices else _WholeChoice()
    reason = choice.finish_reason and choice.finish_reason[:MOST_REASON]
    return WholeAnswer(reason or None, _has_text(choice), found.usage)


def _has_text(choice: _WholeChoice) -> bool:
    """Whether it holds any generated content."""
    message = choice.message
    if message is None:
        return bool(choice.text)
    said = (message.content, message.reasoning, message.reasoning_content, message.refusal)
    return any((*said, message.tool_calls, message.function_call))
