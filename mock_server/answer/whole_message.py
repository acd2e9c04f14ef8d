"""A whole chat message, put together from the parts that its reader found."""

from __future__ import annotations

from typing import Any

from mock_server.answer.bodies import ChatMessage, FunctionCall, ToolCall
from mock_server.answer.message_reader import CallArguments, CallStart, Content, MessageReader, Part, Reasoning


def whole_message(text: str, reader: MessageReader | None) -> ChatMessage:
    """`content` is null if there are only calls. Thoughts are returned under both names that clients know."""
    if reader is None:
        return ChatMessage(role="assistant", content=text, refusal=None)
    content, reasoning = "", ""
    calls: list[ToolCall] = []
    parts: list[Part] = [*reader.push(text), *reader.end()]
    for part in parts:
        match part:
            case Content(piece):
                content += piece
            case Reasoning(piece):
                reasoning += piece
            case CallStart(_, id, name):
                calls.append(ToolCall(id=id, type="function", function=FunctionCall(name=name, arguments="")))
            case CallArguments(index, piece):
                calls[index].function.arguments += piece
    extra: dict[str, Any] = {"tool_calls": calls} if calls else {}
    if reasoning:
        extra |= {"reasoning": reasoning, "reasoning_content": reasoning}
    return ChatMessage(role="assistant", content=content or (None if calls else ""), refusal=None, **extra)
