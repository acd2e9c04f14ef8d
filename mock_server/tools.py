"""Tools of a chat request: which the model is offered, whether it must call one, and how its answer is to be read."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from .engine.base import StructuredOutput
from .errors import ApiError, bad_request
from .message_reader import (
    CallListReader,
    ContentReader,
    HermesReader,
    MessageReader,
    NamedCallReader,
    ReasoningReader,
)
from .requests import ChatRequest, NamedTool, Tool

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class ToolUse:
    """`constraint` makes the model write nothing but calls; `reader` is None where all text is content."""

    offered: tuple[Mapping[str, Any], ...] = ()
    constraint: StructuredOutput | None = None
    reader: Callable[[], MessageReader] | None = None
    ends_with_calls: bool = True
    """Whether an answer that called has the finish reason for it; OpenAI's has not where the function was named."""


def tool_use(request: ChatRequest, tool_format: str | None) -> ToolUse:
    """Raises `ApiError` (400) for a choice that does not fit the tools, or the model."""
    tools, choice = request.tools, request.tool_choice
    if tools is None:
        if choice is not None and choice != "none":
            raise bad_request("tool_choice needs tools to choose from", param="tool_choice")
        return ToolUse()
    if choice == "none":
        return ToolUse()
    offered = tuple(tool.model_dump(exclude_unset=True) for tool in tools)
    most = 1 if request.parallel_tool_calls is False else None
    if isinstance(choice, NamedTool):
        schema = _named(tools, choice.function.name).function.parameters or _ANY_OBJECT
        reader = partial(NamedCallReader, choice.function.name, new_call_id)
        return ToolUse(offered, StructuredOutput("json", schema), reader, ends_with_calls=False)
    if choice == "required":
        return ToolUse(offered, StructuredOutput("json", _any_calls(tools, most)), partial(CallListReader, new_call_id))
    if tool_format is None:
        raise bad_request(
            'tool_choice "auto" needs a model whose calls can be read: start the server with --tool-call-parser hermes'
            ' if it writes them so; "required" and named functions work with every model',
            param="tool_choice",
        )
    return ToolUse(offered, None, partial(HermesReader, new_call_id, most=most))


def message_reader(use: ToolUse, reasoning_format: str | None, *, shown: bool) -> Callable[[], MessageReader] | None:
    """A reader for each choice, or None where all text is content."""
    if reasoning_format is None or use.constraint is not None:
        return use.reader
    rest = use.reader or ContentReader
    return lambda: ReasoningReader(rest(), is_open=reasoning_format == "deepseek_r1", shown=shown)


def new_call_id() -> str:
    return f"call_{uuid4().hex[:24]}"


def _named(tools: list[Tool], name: str) -> Tool:
    for tool in tools:
        if tool.function.name == name:
            return tool
    known = ", ".join(tool.function.name for tool in tools)
    raise bad_request(f"tool_choice names {name[:100]!r}, which is not among the tools: {known[:500]}", "tool_choice")


def _any_calls(tools: list[Tool], most: int | None) -> dict[str, Any]:
    """The schema of an array of calls, with the functions' own definitions at its root."""
    definitions: dict[str, Any] = {}
    calls = []
    for tool in tools:
        parameters = dict(tool.function.parameters or _ANY_OBJECT)
        for name, definition in (parameters.pop("$defs", None) or {}).items():
            if definitions.setdefault(name, definition) != definition:
                raise _clash(name)
        calls.append({
            "type": "object",
            "properties": {"name": {"enum": [tool.function.name]}, "parameters": parameters},
            "required": ["name", "parameters"],
            "additionalProperties": False,
        })  # fmt: skip
    schema: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"anyOf": calls}}
    if most is not None:
        schema["maxItems"] = most
    return {**schema, "$defs": definitions} if definitions else schema


def _clash(name: str) -> ApiError:
    shown = json.dumps(name[:100])
    return bad_request(
        f"two tools define {shown} in $defs, each in another way: give one of them another name", "tools"
    )
