"""What the server is asked: OpenAI's bodies with vLLM's additions. Known fields are typed strictly and
bounded; unknown ones are ignored, since clients send new ones before servers know them.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

INT64_MAX = 2**63 - 1
MAX_CHOICES = 128
MAX_STOP_STRINGS = 16
MAX_TOOLS = 128

StopString = Annotated[str, Field(min_length=1)]
TokenId = Annotated[int, Field(ge=0)]
TokenIds = Annotated[list[TokenId], Field(min_length=1)]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    model: str | None = None


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class JsonSchema(BaseModel):
    """OpenAI's wrapping of a schema."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(BaseModel):
    """OpenAI's way to ask for structured output."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StructuredOutputs(BaseModel):
    """vLLM's way to ask for structured output: one constraint, and options for it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    json_schema: str | dict[str, Any] | None = Field(default=None, alias="json")
    regex: str | None = None
    choice: Annotated[list[str], Field(min_length=1)] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: str | None = None
    disable_any_whitespace: bool = False
    disable_additional_properties: bool = False
    whitespace_pattern: str | None = None


class GenerationRequest(_Request):
    """What chat and completions have in common. None = not said."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    min_tokens: Annotated[int, Field(ge=0)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    seed: Annotated[int, Field(ge=-INT64_MAX - 1, le=INT64_MAX)] | None = None
    stop: StopString | Annotated[list[StopString], Field(max_length=MAX_STOP_STRINGS)] | None = None
    stop_token_ids: list[TokenId] | None = None
    ignore_eos: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    allowed_token_ids: TokenIds | None = None
    bad_words: list[Annotated[str, Field(min_length=1)]] | None = None
    top_logprobs: Annotated[int, Field(ge=0)] | None = None
    prompt_logprobs: Annotated[int, Field(ge=0)] | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    priority: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    return_token_ids: bool | None = None
    truncate_prompt_tokens: Annotated[int, Field(ge=-1)] | None = None
    """Only so many of the prompt's last tokens are kept; -1: as many as the context takes."""

    @property
    def stop_strings(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


class ImageUrl(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    url: str | None = None


class ContentPart(BaseModel):
    """One part of a message; text is what every model reads."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: str
    text: str | None = None
    image_url: ImageUrl | None = None


class FunctionCalled(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    arguments: str = "{}"
    """As JSON."""


class ToolCalled(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    id: str | None = None
    type: Literal["function"] = "function"
    function: FunctionCalled


class ChatRequestMessage(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    role: Annotated[str, Field(min_length=1)]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCalled] | None = None
    tool_call_id: str | None = None


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
    """A choice of one function."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    type: Literal["function"]
    function: NamedFunction


class ChatRequest(GenerationRequest):
    messages: Annotated[list[ChatRequestMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    tools: Annotated[list[Tool], Field(min_length=1, max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    include_reasoning: bool | None = None


class CompletionRequest(GenerationRequest):
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    """0 goes with `echo` alone: the prompt comes back, with its log probabilities if wanted, and nothing more."""
    prompt: (
        StrictStr
        | TokenIds
        | Annotated[list[StrictStr], Field(min_length=1)]
        | Annotated[list[TokenIds], Field(min_length=1)]
    )
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0)] | bool | None = None
    """OpenAI's number of likeliest tokens, or ms-swift's boolean with `top_logprobs`."""


class TokenizeRequest(_Request):
    """vLLM's form: a prompt, or messages."""

    prompt: str | None = None
    messages: Annotated[list[ChatRequestMessage], Field(min_length=1)] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    tools: Annotated[list[Tool], Field(min_length=1, max_length=MAX_TOOLS)] | None = None
    return_token_strs: bool | None = None


class LoadAdapterRequest(BaseModel):
    """vLLM's form."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    lora_name: Annotated[str, Field(min_length=1)]
    lora_path: str = ""
    load_inplace: bool = False


class UnloadAdapterRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    lora_name: Annotated[str, Field(min_length=1)]


class DetokenizeRequest(_Request):
    tokens: list[TokenId]
