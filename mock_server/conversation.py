"""Messages of a request as turns of text; what is not text is refused by name."""

from collections.abc import Sequence

from .engine.base import ChatOptions, ChatTurn
from .errors import ApiError, bad_request
from .requests import ChatRequest, ChatRequestMessage, ContentPart, TokenizeRequest


def chat_turns(messages: Sequence[ChatRequestMessage], default_system: str | None = None) -> list[ChatTurn]:
    """Raises `ApiError` (400). Several text parts of a message are joined by line ends, as vLLM does.

    `default_system` opens a conversation that has no system message of its own.
    """
    turns = [_turn(message, f"messages.{number}") for number, message in enumerate(messages)]
    if default_system is not None and all(turn.role != "system" for turn in turns):
        turns.insert(0, ChatTurn("system", default_system))
    return turns


def chat_options(request: ChatRequest | TokenizeRequest) -> ChatOptions:
    """Raises `ApiError` (400) for wishes that contradict each other."""
    if request.continue_final_message and request.add_generation_prompt:
        raise bad_request(
            "continue_final_message and add_generation_prompt cannot both be true", param="continue_final_message"
        )
    return ChatOptions(
        add_generation_prompt=request.add_generation_prompt is not False and not request.continue_final_message,
        continue_final=bool(request.continue_final_message),
        template_kwargs=request.chat_template_kwargs or {},
    )


def _turn(message: ChatRequestMessage, path: str) -> ChatTurn:
    if message.model_extra and message.model_extra.get("tool_calls"):
        raise bad_request(f"{path}.tool_calls is not supported: this server does not do tool calls yet", path)
    if message.content is None and message.role != "assistant":
        raise bad_request(f"{path}.content is required for role {message.role!r}", param=f"{path}.content")
    if message.content is None or isinstance(message.content, str):
        return ChatTurn(message.role, message.content or "")
    texts = [_text(part, f"{path}.content.{number}") for number, part in enumerate(message.content)]
    return ChatTurn(message.role, "\n".join(texts))


def _text(part: ContentPart, path: str) -> str:
    if part.type != "text":
        raise _not_text(part.type, path)
    if part.text is None:
        raise bad_request(f"{path}.text is required", param=f"{path}.text")
    return part.text


def _not_text(kind: str, path: str) -> ApiError:
    return bad_request(
        f"{path}: a part of type {kind[:100]!r} cannot be served, this model reads text only", param=f"{path}.type"
    )
