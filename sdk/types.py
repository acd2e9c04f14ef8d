"""Whole answers, as pydantic models that take what comes: unknown fields are kept, missing ones are None."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class _NullAs:
    """Takes null as an empty value of the type: the common case stays inside pydantic's compiled code."""

    def __init__(self, empty: type) -> None:
        self._empty = empty

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        null = core_schema.no_info_after_validator_function(lambda _: self._empty(), core_schema.none_schema())
        return core_schema.union_schema([handler(source), null], mode="left_to_right")


Text = Annotated[str, _NullAs(str)]


class _Answer(BaseModel):
    """Base of what comes over the wire."""

    # built when first used: a program that only streams never needs them
    model_config = ConfigDict(extra="allow", protected_namespaces=(), defer_build=True)


class Model(_Answer):
    """A card of `/v1/models`. `is_chat` is None where the server does not say; `parent` names an adapter's base."""

    id: str
    object: str | None = "model"
    created: int | None = None
    owned_by: str | None = None
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None
    is_chat: bool | None = None
    is_multimodal: bool | None = None


class ModelList(_Answer):
    """The models served: the base first, then its adapters."""

    data: Annotated[list[Model], _NullAs(list)]
    object: str | None = "list"


class UsageInfo(_Answer):
    """Tokens as the server counts them."""

    prompt_tokens: Annotated[int, _NullAs(int)] = 0
    completion_tokens: Annotated[int, _NullAs(int)] = 0
    total_tokens: Annotated[int, _NullAs(int)] = 0
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None


class Function(_Answer):
    """A call the model wants: `arguments` is JSON text, possibly cut short."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(_Answer):
    """A tool call, whole."""

    id: str | None = None
    type: str | None = "function"
    function: Function = Field(default_factory=Function)


class ChatMessage(_Answer):
    """A whole answer. `content` is empty, not None, when the model only called tools."""

    role: str | None = None
    content: Text = ""
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None

    @property
    def thoughts(self) -> str:
        """The reasoning, under whichever of its two wire names it came; empty when there is none."""
        return self.reasoning or self.reasoning_content or ""


class ChatCompletionResponseChoice(_Answer):
    """One of the `n` answers."""

    index: int = 0
    message: ChatMessage
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class ChatCompletionResponse(_Answer):
    """The answer of `/v1/chat/completions`. `usage` is zero where the server sends none."""

    id: str | None = None
    object: str | None = "chat.completion"
    created: int | None = None
    model: str | None = None
    choices: Annotated[list[ChatCompletionResponseChoice], _NullAs(list)]
    usage: Annotated[UsageInfo, _NullAs(UsageInfo)] = Field(default_factory=UsageInfo)


class CompletionResponseChoice(_Answer):
    """One of the `n` texts."""

    index: int = 0
    text: Text = ""
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class CompletionResponse(_Answer):
    """The answer of `/v1/completions`. `usage` is zero where the server sends none."""

    id: str | None = None
    object: str | None = "text_completion"
    created: int | None = None
    model: str | None = None
    choices: Annotated[list[CompletionResponseChoice], _NullAs(list)]
    usage: Annotated[UsageInfo, _NullAs(UsageInfo)] = Field(default_factory=UsageInfo)


ToolChoice = Literal["auto", "none", "required"] | dict[str, Any]
