"""`XRequestConfig`: how to generate an answer. The SDK sends only fields that are set; the server decides the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from typing_extensions import TypedDict, TypeVar, Unpack

from sdk.errors import ConfigError
from sdk.shown_text import HIDDEN

# Covariant, so that a function which takes a plain `XRequestConfig` also takes one that streams.
StreamT = TypeVar("StreamT", bound=bool, default=bool, covariant=True)


class RequestFields(TypedDict, total=False):
    """The fields of `XRequestConfig` except `stream`, for the types of its constructor (a test compares the two)."""

    max_tokens: int | None
    max_completion_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    n: int
    best_of: int | None
    num_beams: int
    length_penalty: float
    seed: int | None
    stop: str | Sequence[str] | None
    stop_token_ids: list[int] | None
    ignore_eos: bool | None
    min_tokens: int | None
    logprobs: bool | int | None
    top_logprobs: int | None
    prompt_logprobs: int | None
    logit_bias: dict[str, float] | None
    skip_special_tokens: bool | None
    response_format: dict[str, Any] | None
    structured_outputs: dict[str, Any] | None
    chat_template_kwargs: dict[str, Any] | None
    reasoning_effort: str | None
    parallel_tool_calls: bool | None
    priority: int | None
    stream_options: dict[str, Any] | None
    extra_body: dict[str, Any] | None
    extra_headers: dict[str, str] | None


class XRequestConfig(BaseModel, Generic[StreamT]):
    """How to generate an answer.

    Any field may be left unset. The SDK then does not send it, and the server's own default applies (for OpenAI's
    servers, temperature 1 and top_p 1; vLLM takes them from the model's generation_config). The object is
    mutable, checked on assignment, and read when a call is made, so it can be shared and changed between calls.

    `extra_body` is merged into the request unchanged, for parameters without a field here; `extra_headers` likewise.
    `stream_options` asks for the usage unless you set it. `logprobs` is a number on completions, and true with
    `top_logprobs` on chats: either form works for both. Raises ConfigError for an unknown field or an invalid value.

    For a type checker, `stream` decides the result of a call if the config was made with fields; a config made without
    any, and changed later, may be of either kind.

    >>> XRequestConfig(seed=42, stop=["\\n"]).body()
    {'seed': 42, 'stop': ['\\n']}
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        protected_namespaces=(),
        allow_inf_nan=False,
        defer_build=True,  # importing it stays fast
    )

    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0)
    presence_penalty: float | None = Field(0.0, ge=-2, le=2)
    frequency_penalty: float | None = Field(0.0, ge=-2, le=2)
    n: int = Field(1, ge=1)
    best_of: int | None = Field(None, ge=1)
    num_beams: int = Field(1, ge=1)
    length_penalty: float = 1.0
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool | None = None
    min_tokens: int | None = Field(None, ge=0)
    if TYPE_CHECKING:
        stream: StreamT
    else:
        stream: bool = False
    logprobs: bool | int | None = False
    top_logprobs: int | None = Field(None, ge=-1)
    prompt_logprobs: int | None = Field(None, ge=-1)
    logit_bias: dict[str, float] | None = None
    skip_special_tokens: bool | None = None
    response_format: dict[str, Any] | None = None
    structured_outputs: dict[str, Any] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None
    priority: int | None = None
    stream_options: dict[str, Any] | None = None
    extra_body: dict[str, Any] | None = None
    extra_headers: dict[str, str] | None = None

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(
        self: XRequestConfig[Literal[False]], *, stream: Literal[False] = ..., **fields: Unpack[RequestFields]
    ) -> None: ...
    @overload
    def __init__(
        self: XRequestConfig[Literal[True]], *, stream: Literal[True], **fields: Unpack[RequestFields]
    ) -> None: ...
    @overload
    def __init__(self: XRequestConfig[bool], *, stream: bool = ..., **fields: Unpack[RequestFields]) -> None: ...

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _explain(error) from None

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            raise _explain(error) from None

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The fields, and only the names of headers, because a value may be a key."""
        for name, value in super().__repr_args__():
            yield name, dict.fromkeys(value, HIDDEN) if name == "extra_headers" and value else value

    @field_validator("stop", mode="before")
    @classmethod
    def _stops(cls, value: Any) -> list[str] | None:
        """A single text is sent as a list, which is all that some servers accept."""
        texts = [value] if isinstance(value, str) else value
        if texts is None:
            return None
        if isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts):
            return list(texts)
        raise ValueError("input should be a text or a list of texts")

    @field_validator("logprobs", mode="before")
    @classmethod
    def _log_probabilities(cls, value: Any) -> bool | int | None:
        if value is None or isinstance(value, bool) or (isinstance(value, int) and value >= -1):
            return value
        raise ValueError("input should be true, false or a number of alternatives")

    def body(self) -> dict[str, Any]:
        """The fields of the request: the ones that were set, then `extra_body`."""
        given = self.model_fields_set - _NOT_SENT
        body = {name: value for name, value in self.__dict__.items() if name in given and value is not None}
        return body | self.extra_body if self.extra_body else body


_NOT_SENT = {"extra_body", "extra_headers"}


def _explain(error: ValidationError) -> ConfigError:
    from sdk.suggestions import remedy  # only needed for a misspelt name

    lines = []
    for found in error.errors():
        name = ".".join(map(str, found["loc"]))
        if found["type"] in ("extra_forbidden", "no_such_attribute"):
            lines.append(f"XRequestConfig has no field {name!r}: {remedy(name, XRequestConfig.model_fields)}")
        else:
            said = found["msg"].removeprefix("Value error, ")
            message = said[:1].lower() + said[1:]
            got = type(found["input"]).__name__ if name.startswith("extra_headers") else repr(found["input"])
            lines.append(f"XRequestConfig.{name}: {message} (got {got})")  # the value of a header may be a key
    return ConfigError("; ".join(lines))
