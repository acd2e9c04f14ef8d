"""The tools of a chat request: which the model is offered, whether it must call one, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from mock_server.answer.message_reader import (
    CallListReader,
    ContentReader,
    HermesReader,
    MessageReader,
    NamedCallReader,
    ReasoningReader,
)
from mock_server.engine.base import CallForm, StructuredOutput
from mock_server.errors import bad_request
from mock_server.request.bodies import ChatRequest, NamedTool, Tool

_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class ToolUse:
    """`constraint` forces the model to write only calls; `reader` is None if all text is content."""

    offered: tuple[Mapping[str, Any], ...] = ()
    constraint: StructuredOutput | None = None
    reader: Callable[[], MessageReader] | None = None
    ends_with_calls: bool = True
    """Whether the finish reason of calls is `tool_calls`. OpenAI does not use it if the request names the function."""


def tool_use(request: ChatRequest, tool_format: str | None) -> ToolUse:
    """Raises `ApiError` (400) for a choice that does not fit the tools or the model."""
    tools, choice = request.tools, request.tool_choice
    if tools is None:
        if choice is not None and choice != "none":
            raise bad_request("tool_choice requires tools", param="tool_choice")
        return ToolUse()
    if choice == "none":
        return ToolUse()
    offered = tuple(tool.model_dump(exclude_unset=True) for tool in tools)
    most = 1 if request.parallel_tool_calls is False else None
    calls = [_call(number, tool) for number, tool in enumerate(tools)]
    if isinstance(choice, NamedTool):
        named = _named(calls, choice.function.name)
        constraint = StructuredOutput("json", named.parameters, origin=named.origin, subject=f"function {named.name!r}")
        return ToolUse(offered, constraint, partial(NamedCallReader, named.name, new_call_id), ends_with_calls=False)
    if choice == "required":
        constraint = StructuredOutput("json", None, origin="tools", calls=tuple(calls), max_calls=most)
        return ToolUse(offered, constraint, partial(CallListReader, new_call_id))
    if tool_format is None:
        raise bad_request(
            'tool_choice "auto" needs a model whose call format is known: if it writes calls in the Hermes format,'
            ' start the server with --tool-call-parser hermes; "required" and named functions work with every model',
            param="tool_choice",
        )
    return ToolUse(offered, None, partial(HermesReader, new_call_id, most=most))


def message_reader(use: ToolUse, reasoning_format: str | None, *, shown: bool) -> Callable[[], MessageReader] | None:
    """Makes a reader for each choice; None if all text is content."""
    if reasoning_format is None or use.constraint is not None:
        return use.reader
    rest = use.reader or ContentReader
    return lambda: ReasoningReader(rest(), is_open=reasoning_format == "deepseek_r1", shown=shown)


def new_call_id() -> str:
    return f"call_{uuid4().hex[:24]}"


def _call(number: int, tool: Tool) -> CallForm:
    function = tool.function
    return CallForm(function.name, function.parameters or _ANY_OBJECT, f"tools.{number}.function.parameters")


def _named(calls: Sequence[CallForm], name: str) -> CallForm:
    for call in calls:
        if call.name == name:
            return call
    known = ", ".join(call.name for call in calls)
    raise bad_request(f"tool_choice names {name[:100]!r}, which is not one of the tools: {known[:500]}", "tool_choice")
