"""Whole answers, as tolerant pydantic models: unknown fields are kept, missing ones are None."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class _NullAs:
    """Accepts null as an empty value of the type, and keeps the common case inside pydantic's compiled code."""

    def __init__(self, empty: type) -> None:
        self._empty = empty

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        null = core_schema.no_info_after_validator_function(lambda _: self._empty(), core_schema.none_schema())
        return core_schema.union_schema([handler(source), null], mode="left_to_right")


class _OrElse:
    """Replaces a value of another type by the default: a field that does not matter must not reject the answer."""

    def __init__(self, default: Callable[[], Any]) -> None:
        self._default = default

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default_factory=self._default, on_error="default")


class _AsText:
    """Turns other values into text, and empty ones into None, as chunks of a stream do."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        other = core_schema.no_info_after_validator_function(_text_or_none, core_schema.any_schema())
        text = core_schema.str_schema(strict=True, min_length=1)
        return core_schema.union_schema([text, other], mode="left_to_right")

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, {"type": "null"}]}


class _FirstError:
    """Stops at the first invalid item of a list: errors for a million of them would take gigabytes."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return cast(CoreSchema, {**handler(source), "fail_fast": True})


def _text_or_none(value: Any) -> str | None:
    return str(value) if value else None


Text = Annotated[str, _NullAs(str)]
Index = Annotated[int, _NullAs(int)]
Count = Annotated[int, _OrElse(int)]
_OR_NONE = _OrElse(lambda: None)
MaybeText = Annotated[str | None, _OR_NONE]
Reason = Annotated[str | None, _AsText()]
MaybeInt = Annotated[int | None, _OR_NONE]
MaybeBool = Annotated[bool | None, _OR_NONE]
MaybeObject = Annotated[dict[str, Any] | None, _OR_NONE]


class _Answer(BaseModel):
    """Base of the models of answers."""

    # built when first used: a program that only streams never needs them
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow", protected_namespaces=(), defer_build=True)


class Model(_Answer):
    """A card of `/v1/models`. `is_chat` is None if the server does not report it; `parent` is an adapter's base."""

    id: str
    object: MaybeText = "model"
    created: MaybeInt = None
    owned_by: MaybeText = None
    root: MaybeText = None
    parent: MaybeText = None
    max_model_len: MaybeInt = None
    is_chat: MaybeBool = None
    is_multimodal: MaybeBool = None


class ModelList(_Answer):
    """The models of a server: the base model first, then its adapters."""

    data: Annotated[list[Model], _FirstError(), _NullAs(list)]
    object: MaybeText = "list"


class UsageInfo(_Answer):
    """Tokens as the server counts them."""

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    total_tokens: Count = 0
    prompt_tokens_details: MaybeObject = None
    completion_tokens_details: MaybeObject = None


class Function(_Answer):
    """A function call: `arguments` is JSON text, possibly cut short, and empty if the server sends none.

    Arguments that a server sends as an object become text.
    """

    name: str | None = None
    arguments: Text = ""


class ToolCall(_Answer):
    """A tool call, whole."""

    id: str | None = None
    type: MaybeText = "function"
    function: Function


class ChatMessage(_Answer):
    """A whole answer. `content` is empty, not None, if the model only called tools.

    If the server sends the content as a list of typed parts, `content`, `reasoning` and `refusal` have the text of
    their parts, and `content_parts` has the unchanged list, including parts of other kinds.
    """

    role: MaybeText = None
    content: Text = ""
    content_parts: list[Any] | dict[str, Any] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: Annotated[list[ToolCall], _FirstError()] | None = None
    refusal: str | None = None
    function_call: Function | None = None

    @property
    def thoughts(self) -> str:
        """The reasoning, under either of the names that servers use; empty without any."""
        return self.reasoning or self.reasoning_content or ""


class ChatCompletionResponseChoice(_Answer):
    """One of the `n` answers."""

    index: Index = 0
    message: ChatMessage
    finish_reason: Reason = None
    logprobs: MaybeObject = None


class ChatCompletionResponse(_Answer):
    """The answer of `/v1/chat/completions`. `usage` is zero if the server sends none."""

    id: MaybeText = None
    object: MaybeText = "chat.completion"
    created: MaybeInt = None
    model: MaybeText = None
    choices: Annotated[list[ChatCompletionResponseChoice], _FirstError(), _NullAs(list)]
    usage: Annotated[UsageInfo, _OrElse(UsageInfo)] = Field(default_factory=UsageInfo)


class CompletionResponseChoice(_Answer):
    """One of the `n` texts."""

    index: Index = 0
    text: Text = ""
    finish_reason: Reason = None
    logprobs: MaybeObject = None


class CompletionResponse(_Answer):
    """The answer of `/v1/completions`. `usage` is zero if the server sends none."""

    id: MaybeText = None
    object: MaybeText = "text_completion"
    created: MaybeInt = None
    model: MaybeText = None
    choices: Annotated[list[CompletionResponseChoice], _FirstError(), _NullAs(list)]
    usage: Annotated[UsageInfo, _OrElse(UsageInfo)] = Field(default_factory=UsageInfo)


Message = Mapping[str, Any] | ChatMessage
Query = str | Sequence[Message] | None
ToolChoice = Literal["auto", "none", "required"] | dict[str, Any]
