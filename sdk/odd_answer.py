"""Reads answers and chunks whose fields have unexpected types.

The essential parts are converted into the expected form: content lists become text and reasoning, arguments that are
objects become JSON text. Any other field that does not fit is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from pydantic import BaseModel

from sdk.body import read_json, read_large_json, whole_characters
from sdk.chunks import (
    ChatCompletionResponseStreamChoice,
    ChatCompletionStreamResponse,
    CompletionResponseStreamChoice,
    CompletionStreamResponse,
    DeltaMessage,
    FunctionPiece,
    ToolCallPiece,
)
from sdk.content import plain_text, split_content

if TYPE_CHECKING:
    from sdk.streamed_answer import StreamedAnswer

Chunk = TypeVar("Chunk", bound=ChatCompletionStreamResponse | CompletionStreamResponse)
Answer = TypeVar("Answer", bound=BaseModel)

# The essential fields: if one of them cannot be converted, there is no answer.
_ESSENTIAL = frozenset({"choices", "index", "delta", "content", "text", "tool_calls", "function", "function_call"})
_RARE = ("refusal", "function_call")
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
    """The chunk in its proper form. Raises ValueError if an essential field cannot be converted."""
    found = read_json(whole_characters(payload))
    rare: list[dict[str, Any]] = []  # for each choice, the fields that the fast path does not accept
    error = None
    if isinstance(found, dict):
        error = found.pop("error", None)
        _drop_odd(found, kind)
        for choice in _objects(found.get("choices")):
            _drop_odd(choice, _CHOICES[kind])
            rare.append({})
            if isinstance(choice.get("text"), (list, dict)):
                choice["text"] = plain_text(choice["text"])
            for delta in _objects([choice.get("delta")]):
                _mend_message(delta)
                rare[-1] = {name: value for name in _RARE if (value := delta.pop(name, None))}
                _drop_odd(delta, DeltaMessage)
                for piece in _objects(delta.get("tool_calls")):
                    _drop_odd(piece, ToolCallPiece)
    chunk = msgspec.convert(found, kind)
    chunk.error = error
    for converted, fields in zip(chunk.choices or (), rare, strict=True):
        if isinstance(converted, ChatCompletionResponseStreamChoice):
            _set_rare(converted.delta, fields)
    return chunk


def _set_rare(delta: DeltaMessage, fields: dict[str, Any]) -> None:
    if "refusal" in fields:
        delta.refusal = fields["refusal"]
    if "function_call" in fields:
        delta.function_call = msgspec.convert(fields["function_call"], FunctionPiece)


def read_odd_answer(kind: type[Answer], body: bytes) -> Answer:
    """A whole answer in its proper form. Raises as `read_odd_chunk`."""
    from sdk.types import CompletionResponse  # pydantic's models are slow to import

    found = read_large_json(whole_characters(body))
    if isinstance(found, dict):
        for choice in _objects(found.get("choices")):
            if "message" in choice and choice["message"] is None:
                choice["message"] = {}
            elif "message" not in choice and isinstance(choice.get("delta"), dict):
                choice["message"] = choice.pop("delta")
            elif "message" not in choice and kind is not CompletionResponse and choice.get("text") is not None:
                choice["message"] = {"content": choice.pop("text")}
            if isinstance(message := choice.get("message"), dict):
                if isinstance(message.get("content"), (list, dict)):
                    message["content_parts"] = message["content"]
                _mend_message(message)
                if kind is CompletionResponse and not choice.get("text"):
                    choice["text"] = message.get("content")
            if isinstance(choice.get("text"), (list, dict)):
                choice["text"] = plain_text(choice["text"])
    return kind.model_validate(found)


def delta_elsewhere(payload: bytes, place: int, so_far: StreamedAnswer) -> DeltaMessage:
    """The piece of an answer that a choice has under another name (`message`, `text`). Raises ValueError.

    A whole `message` may follow its own pieces: then only what is new in it counts.
    """
    choice = read_json(whole_characters(payload))["choices"][place]
    is_whole = isinstance(choice.get("message"), dict)
    message = choice["message"] if is_whole else choice.get("delta")
    if not isinstance(message, dict):
        message = {"content": choice.get("text")}
    _mend_message(message)
    rare = {name: value for name in _RARE if (value := message.pop(name, None))}
    _drop_odd(message, DeltaMessage)
    delta = msgspec.convert(message, DeltaMessage)
    if is_whole and not so_far.is_empty:
        delta.content = (delta.content or "").removeprefix(so_far.text)
        thoughts = delta.thoughts.removeprefix(so_far.reasoning)
        delta.reasoning, delta.reasoning_content = thoughts or None, None
        if so_far.tool_calls:
            delta.tool_calls = None
        rare = {}
    _set_rare(delta, rare)
    return delta


def number_by_place(choices: Sequence[Any], payload: bytes) -> None:
    """Number the choices of one event by their position if the server gave no index. Raises ValueError."""
    for place, (choice, sent) in enumerate(zip(choices, read_json(payload)["choices"], strict=True)):
        if sent.get("index") is None:
            choice.index = place


def _mend_message(message: dict[str, Any]) -> None:
    """Convert the parts of a message or delta to the expected types."""
    for name in ("reasoning", "reasoning_content", "refusal"):
        if isinstance(message.get(name), (list, dict)):
            message[name] = plain_text(message[name]) or None
        elif name in message and not isinstance(message[name], str):
            message[name] = None
    if isinstance(message.get("content"), (list, dict)):
        _mend_content(message, message["content"])
    calls = message.get("tool_calls")
    if calls in ({}, ""):
        message["tool_calls"] = None
    elif isinstance(calls, dict) and ("function" in calls or "name" in calls):
        calls = [calls]
    if isinstance(calls, list):
        message["tool_calls"] = [call for call in calls if call is not None]
        for call in _objects(calls):
            _mend_call(call)
    if isinstance(function := message.get("function_call"), dict):
        _mend_function(function)


def _mend_content(message: dict[str, Any], content: list[Any] | dict[str, Any]) -> None:
    if isinstance(content, dict) and content and "type" not in content:
        message["content"] = plain_text(content) or _as_json(content)  # for example, an object that follows a schema
        return
    parts = split_content(content)
    message["content"] = parts.text
    if parts.reasoning:
        _add_reasoning(message, parts.reasoning)
    if parts.refusal:
        message["refusal"] = (message.get("refusal") or "") + parts.refusal


def _add_reasoning(message: dict[str, Any], reasoning: str) -> None:
    """Add reasoning, but only once if the server sends it in both forms."""
    name = "reasoning_content" if message.get("reasoning_content") and not message.get("reasoning") else "reasoning"
    said = message.get(name) or ""
    message[name] = said if said == reasoning else said + reasoning


def _mend_call(call: dict[str, Any]) -> None:
    function = call.get("function")
    if not isinstance(function, dict):
        function = call["function"] = _function_elsewhere(call)
    _mend_function(function)
    if "id" in call and not isinstance(call["id"], str):
        number = call["id"]
        call["id"] = str(number) if isinstance(number, (int, float)) else None
    index = call.get("index")
    if isinstance(index, str) and index.isdecimal():
        call["index"] = int(index)
    elif isinstance(index, bool) or not (isinstance(index, int) or (isinstance(index, float) and index.is_integer())):
        call.pop("index", None)


def _function_elsewhere(call: dict[str, Any]) -> dict[str, Any]:
    """The function of a call that has its fields one level up, or that is one of OpenAI's custom tools (free text)."""
    fields = custom if isinstance(custom := call.get("custom"), dict) else call
    function = {name: fields[name] for name in ("name", "arguments") if name in fields}
    if isinstance(call.get("function"), str):
        function["name"] = call["function"]
    arguments = next((fields[name] for name in ("input", "parameters") if fields.get(name) is not None), None)
    if arguments is not None:
        function.setdefault("arguments", arguments)
    return function


def _mend_function(function: dict[str, Any]) -> None:
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):
        function["arguments"] = _as_json(arguments)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _objects(found: Any) -> Iterator[dict[str, Any]]:
    return (item for item in found if isinstance(item, dict)) if isinstance(found, list) else iter(())


def _drop_odd(found: dict[str, Any], kind: type[Any]) -> None:
    index, reason = found.get("index", 0), found.get("finish_reason")
    if index is None:
        del found["index"]
    elif (isinstance(index, float) and index.is_integer()) or (isinstance(index, str) and index.isdecimal()):
        found["index"] = int(index)
    if reason and not isinstance(reason, str):
        found["finish_reason"] = str(reason)  # any reason means that the answer is complete
    for name, type_ in _OTHERS[kind].items():
        if name in found and not _fits(found[name], type_):
            del found[name]


def _fits(value: Any, type_: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return False
    return True
