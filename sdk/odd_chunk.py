"""Chunks whose fields are not of the types they should have: read all the same, as long as what matters can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from sdk.answer import read_json, whole_characters
from sdk.chunks import (
    ChatCompletionResponseStreamChoice,
    ChatCompletionStreamResponse,
    CompletionResponseStreamChoice,
    CompletionStreamResponse,
    DeltaMessage,
    ToolCallPiece,
)

Chunk = TypeVar("Chunk", bound=ChatCompletionStreamResponse | CompletionStreamResponse)

# What an answer is made of: of another type, there is no answer.
_ESSENTIAL = frozenset({"choices", "index", "delta", "content", "text", "tool_calls", "function"})
_CHOICES: dict[type[Any], type[msgspec.Struct]] = {
    ChatCompletionStreamResponse: ChatCompletionResponseStreamChoice,
    CompletionStreamResponse: CompletionResponseStreamChoice,
}
_STRUCTS: tuple[type[msgspec.Struct], ...] = (*_CHOICES, *_CHOICES.values(), DeltaMessage, ToolCallPiece)
_OTHERS: dict[type[Any], dict[str, Any]] = {
    kind: {field.encode_name: field.type for field in msgspec.structs.fields(kind) if field.name not in _ESSENTIAL}
    for kind in _STRUCTS
}


def read_odd_chunk(kind: type[Chunk], payload: bytes) -> Chunk:
    """The chunk, without what is of no use in it. Raises ValueError when that is what an answer is made of."""
    found = read_json(whole_characters(payload))
    if isinstance(found, dict):
        _drop_odd(found, kind)
        for choice in _objects(found.get("choices")):
            _drop_odd(choice, _CHOICES[kind])
            delta = choice.get("delta")
            for part in _objects([delta]):
                _drop_odd(part, DeltaMessage)
                for piece in _objects(part.get("tool_calls")):
                    _drop_odd(piece, ToolCallPiece)
    return msgspec.convert(found, kind)


def _objects(found: Any) -> Iterator[dict[str, Any]]:
    return (item for item in found if isinstance(item, dict)) if isinstance(found, list) else iter(())


def _drop_odd(found: dict[str, Any], kind: type[Any]) -> None:
    index, reason = found.get("index", 0), found.get("finish_reason")
    if index is None:
        del found["index"]
    elif isinstance(index, float) and index.is_integer():
        found["index"] = int(index)
    if reason and not isinstance(reason, str):
        found["finish_reason"] = str(reason)  # whatever it says, the answer is complete
    for name, type_ in _OTHERS[kind].items():
        if name in found and not _fits(found[name], type_):
            del found[name]


def _fits(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True
