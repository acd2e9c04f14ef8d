"""The bodies of requests: OpenAI's, with vLLM's additions. Known fields have strict types and bounds. Unknown fields
are ignored, because clients send new fields before servers know them.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from mock_server.request_limits import (
    MAX_ALLOWED_TOKENS,
    MAX_BAD_WORDS,
    MAX_BIASES,
    MAX_LABEL_LENGTH,
    MAX_N,
    MAX_POINTED_INTEGERS,
    MAX_STOP_LENGTH,
    MAX_STOP_STRINGS,
    MAX_STOP_TOKENS,
    MAX_TOOLS,
)

INT64_MAX = 2**63 - 1
"""The largest integer of any field. Python cannot write integers of thousands of digits."""
MAX_BIAS = 100


def _integral(value: Any) -> Any:
    """Turns 5.0 into 5: some languages write integers that way."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _integral_items(value: Any) -> Any:
    return _integers(value) if isinstance(value, list) else value


def _integers(items: list[Any]) -> list[Any]:
    """Turns 5.0 into 5 if all items are integers. This is slow, so the length of such a list is limited."""
    types = set(map(type, items))
    if float in types and types <= {int, float}:
        if len(items) > MAX_POINTED_INTEGERS:
            raise PydanticCustomError(
                "pointed_integers", "has too many integers with a point", {"max_length": MAX_POINTED_INTEGERS}
            )
        with contextlib.suppress(ValueError, OverflowError):  # raised for numbers that are not finite
            integers = list(map(int, items))
            if integers == items:
                return integers
    return items


def _prompt(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Accepts valid prompts quickly: pydantic would try every form on every item."""
    if isinstance(value, list) and value:
        if isinstance(value[0], list):
            lists = [_integral_items(item) for item in value]
            return lists if all(map(_is_token_ids, lists)) else validate(lists)
        if isinstance(value[0], str):
            return value if set(map(type, value)) == {str} else validate(value)
        value = _integers(value)
        return value if _is_token_ids(value) else validate(value)
    return value if isinstance(value, str) else validate(value)


def _is_token_ids(value: Any) -> bool:
    return isinstance(value, list) and set(map(type, value)) == {int} and min(value) >= 0


def _first_wrong(value: Any) -> Any:
    """Finds a wrong bias before pydantic validates them all: one is enough for an error."""
    if not isinstance(value, dict):
        return value
    if len(value) > MAX_BIASES:
        raise PydanticKnownError(
            "too_long", {"field_type": "Dictionary", "max_length": MAX_BIASES, "actual_length": len(value)}
        )
    for key, bias in value.items():
        if type(bias) not in (int, float) or not -MAX_BIAS <= bias <= MAX_BIAS:
            return {key: bias}
    return value


_INTEGRAL = BeforeValidator(_integral)
_INTEGRAL_ITEMS = BeforeValidator(_integral_items)
Integer = Annotated[int, Field(ge=-INT64_MAX - 1, le=INT64_MAX), _INTEGRAL]
Count = Annotated[int, Field(ge=0, le=INT64_MAX), _INTEGRAL]
Positive = Annotated[int, Field(ge=1, le=INT64_MAX), _INTEGRAL]
BadWord = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]
StopString = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)]
Label = Annotated[str, Field(max_length=MAX_LABEL_LENGTH)]
TokenId = Annotated[int, Field(ge=0)]
TokenIds = Annotated[list[TokenId], Field(min_length=1, fail_fast=True), _INTEGRAL_ITEMS]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    model: str | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class JsonSchema(BaseModel):
    """OpenAI's object around a schema."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(BaseModel):
    """OpenAI's way to ask for structured output."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    plain_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    """A schema without OpenAI's object around it, as clients of llama.cpp and others send it."""


class StructuredOutputs(BaseModel):
    """vLLM's way to ask for structured output: one constraint and its options."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    json_schema: str | dict[str, Any] | None = Field(default=None, alias="json")
    regex: str | None = None
    choice: Annotated[list[str], Field(min_length=1, fail_fast=True)] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: str | None = None
    disable_any_whitespace: bool = False
    disable_additional_properties: bool = False
    whitespace_pattern: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _first_unknown(cls, value: Any) -> Any:
        """Keeps one unknown name only: one is enough for an error, and pydantic would describe each of them."""
        if isinstance(value, dict) and len(value) > len(cls.model_fields):
            known = {field.alias or name for name, field in cls.model_fields.items()}
            return next(({name: given} for name, given in value.items() if name not in known), value)
        return value


class GenerationRequest(_Request):
    """The fields that chat and completions share. None: the request does not set it."""

    max_tokens: Positive | None = None
    min_tokens: Count | None = None
    n: Annotated[int, Field(ge=1, le=MAX_N), _INTEGRAL] | None = None
    seed: Integer | None = None
    stop: StopString | Annotated[list[StopString], Field(max_length=MAX_STOP_STRINGS, fail_fast=True)] | None = None
    stop_token_ids: (
        Annotated[list[TokenId], Field(max_length=MAX_STOP_TOKENS, fail_fast=True), _INTEGRAL_ITEMS] | None
    ) = None
    ignore_eos: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=INT64_MAX), _INTEGRAL] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    logit_bias: (
        Annotated[dict[str, Annotated[float, Field(ge=-MAX_BIAS, le=MAX_BIAS)]], BeforeValidator(_first_wrong)] | None
    ) = None
    allowed_token_ids: (
        Annotated[list[TokenId], Field(min_length=1, max_length=MAX_ALLOWED_TOKENS, fail_fast=True), _INTEGRAL_ITEMS]
        | None
    ) = None
    bad_words: Annotated[list[BadWord], Field(max_length=MAX_BAD_WORDS, fail_fast=True)] | None = None
    top_logprobs: Count | None = None
    prompt_logprobs: Count | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    priority: Integer | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    return_token_ids: bool | None = None
    truncate_prompt_tokens: Annotated[int, Field(ge=-1, le=INT64_MAX), _INTEGRAL] | None = None
    """How many of the prompt's last tokens are kept; -1: as many as fit into the context."""

    @property
    def stop_strings(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ImageUrl(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    url: str | None = None


class ContentPart(BaseModel):
    """One part of a message. Every model accepts text."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | None = None


class FunctionCalled(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=MAX_LABEL_LENGTH)]
    arguments: str = "{}"
    """JSON."""


class ToolCalled(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    id: Label | None = None
    type: Literal["function"] = "function"
    function: FunctionCalled


MAX_ROLE_LENGTH = 256


class ChatRequestMessage(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    role: Annotated[str, Field(min_length=1, max_length=MAX_ROLE_LENGTH)]
    content: str | Annotated[list[ContentPart], Field(fail_fast=True)] | None = None
    name: Label | None = None
    tool_calls: Annotated[list[ToolCalled], Field(fail_fast=True)] | None = None
    tool_call_id: Label | None = None


class ToolFunction(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: Literal["function"]
    function: ToolFunction


class NamedFunction(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str


class NamedTool(BaseModel):
    """A tool choice that names one function."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: Literal["function"]
    function: NamedFunction


class ChatRequest(GenerationRequest):
    messages: Annotated[list[ChatRequestMessage], Field(min_length=1, fail_fast=True)]
    max_completion_tokens: Positive | None = None
    logprobs: bool | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    tools: Annotated[list[Tool], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    include_reasoning: bool | None = None


class CompletionRequest(GenerationRequest):
    max_tokens: Count | None = None
    """0 is only valid with `echo`: it returns the prompt, with its log probabilities if requested, and no new token."""
    prompt: Annotated[
        StrictStr
        | TokenIds
        | Annotated[list[StrictStr], Field(min_length=1, fail_fast=True)]
        | Annotated[list[TokenIds], Field(min_length=1, fail_fast=True)],
        WrapValidator(_prompt),
    ]
    echo: bool | None = None
    logprobs: Count | bool | None = None
    """OpenAI's number of likeliest tokens, or ms-swift's boolean together with `top_logprobs`."""


class TokenizeRequest(_Request):
    """In vLLM's form: a prompt or messages."""

    prompt: str | None = None
    messages: Annotated[list[ChatRequestMessage], Field(min_length=1, fail_fast=True)] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    tools: Annotated[list[Tool], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] | None = None
    return_token_strs: bool | None = None


class LoadAdapterRequest(BaseModel):
    """In vLLM's form."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    lora_name: Annotated[str, Field(min_length=1)]
    lora_path: str = ""
    load_inplace: bool = False


class UnloadAdapterRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    lora_name: Annotated[str, Field(min_length=1)]


class DetokenizeRequest(_Request):
    tokens: Annotated[list[TokenId], Field(fail_fast=True), _INTEGRAL_ITEMS]
