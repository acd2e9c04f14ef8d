"""Turns a request's messages into turns of text, with images if the model accepts them. Refuses everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from mock_server.engine.base import ChatOptions, ChatTurn
from mock_server.errors import ApiError, bad_request
from mock_server.request.bodies import ChatRequest, ChatRequestMessage, ContentPart, TokenizeRequest, ToolCalled

_MESSAGES_A_TURN = 256
_LONG_ARGUMENTS = 40_000


async def chat_turns(
    messages: Sequence[ChatRequestMessage], default_system: str | None = None, *, sees_images: bool = False
) -> list[ChatTurn]:
    """Raises `ApiError` (400). Joins several text parts of a message with line ends, as vLLM does.

    `default_system` opens a conversation that has no system message. Other requests run between the messages of a long
    conversation.
    """
    turns: list[ChatTurn] = []
    for number, message in enumerate(messages):
        turns.append(_turn(message, f"messages.{number}", sees_images=sees_images))
        if not (number + 1) % _MESSAGES_A_TURN or _is_long(message):
            await asyncio.sleep(0)
    if default_system is not None and all(turn.role != "system" for turn in turns):
        turns.insert(0, ChatTurn("system", default_system))
    return turns


def _is_long(message: ChatRequestMessage) -> bool:
    calls = message.tool_calls
    return calls is not None and sum([len(call.function.arguments) for call in calls]) > _LONG_ARGUMENTS


def chat_options(request: ChatRequest | TokenizeRequest, tools: Sequence[Mapping[str, Any]] = ()) -> ChatOptions:
    """Raises `ApiError` (400) for options that contradict each other."""
    if request.continue_final_message and request.add_generation_prompt:
        raise bad_request(
            "continue_final_message and add_generation_prompt cannot both be true", param="continue_final_message"
        )
    return ChatOptions(
        add_generation_prompt=request.add_generation_prompt is not False and not request.continue_final_message,
        continue_final=bool(request.continue_final_message),
        tools=tools,
        template_kwargs=_template_kwargs(request),
    )


def _template_kwargs(request: ChatRequest | TokenizeRequest) -> Mapping[str, Any]:
    """Many templates know the effort by this name; others ignore it."""
    given = request.chat_template_kwargs or {}
    effort = request.reasoning_effort if isinstance(request, ChatRequest) else None
    return given if effort is None else {"reasoning_effort": effort, **given}


def _turn(message: ChatRequestMessage, path: str, *, sees_images: bool) -> ChatTurn:
    if message.content is None and message.role != "assistant":
        raise bad_request(f"{path}.content is required for role {message.role!r}", param=f"{path}.content")
    fields = _fields(message)
    if message.content is None or isinstance(message.content, str):
        return ChatTurn(message.role, message.content or "", fields)
    texts, images = [], 0
    for number, part in enumerate(message.content):
        where = f"{path}.content.{number}"
        if sees_images and part.type == "image_url":
            _check_image(part, where)
            images += 1
        else:
            texts.append(_text(part, where, sees_images=sees_images))
    return ChatTurn(message.role, "\n".join(texts), fields, images)


def _fields(message: ChatRequestMessage) -> dict[str, Any]:
    """What templates may use besides role and content. They expect a call's arguments as values."""
    fields: dict[str, Any] = {}
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        fields["name"] = message.name
    if message.tool_calls:
        fields["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": _arguments(call)},
            }
            for call in message.tool_calls
        ]
    return fields


def _arguments(call: ToolCalled) -> dict[str, Any]:
    """An empty object for arguments that are not a JSON object, as in vLLM.

    A call that `max_tokens` cut off stays in the conversation: refusing it would make every later turn fail as well.
    """
    try:
        arguments = from_json(call.function.arguments)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _check_image(part: ContentPart, path: str) -> None:
    """Checks its address only; the server never reads the image."""
    url = part.image_url.url if part.image_url is not None else None
    if url is None:
        raise bad_request(f"{path}.image_url.url is required", param=f"{path}.image_url.url")
    is_inline = url.startswith("data:image/") and ";base64," in url
    if not is_inline and not url.startswith(("http://", "https://")):
        raise bad_request(
            f"{path}.image_url.url must be http(s)://… or data:image/…;base64,… (got {url[:40]!r})",
            param=f"{path}.image_url.url",
        )


def _text(part: ContentPart, path: str, *, sees_images: bool) -> str:
    """A refusal counts as text: an earlier answer of the assistant may have been one."""
    texts = {"text": part.text, "refusal": part.refusal}
    if part.type not in texts:
        raise _not_read(part.type, path, "text and images" if sees_images else "text")
    text = texts[part.type]
    if text is None:
        raise bad_request(f"{path}.{part.type} is required", param=f"{path}.{part.type}")
    return text


def _not_read(kind: str, path: str, read: str) -> ApiError:
    return bad_request(
        f"{path}: parts of type {kind[:100]!r} are not supported; this model reads {read} only", param=f"{path}.type"
    )
