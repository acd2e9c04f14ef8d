"""The bodies of the server's answers, as OpenAI's API describes them. A field that is not set stays out of the JSON;
a field is null in the JSON only if it was set to None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

from pydantic import BaseModel

from mock_server.engine.base import FinishReason

ChatFinishReason = FinishReason | Literal["tool_calls"]


class _Response(BaseModel):
    def json_bytes(self) -> bytes:
        return self.model_dump_json(exclude_unset=True).encode()


class ErrorDescription(_Response):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(_Response):
    error: ErrorDescription


class ModelCard(_Response):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: str | None
    max_model_len: int
    is_chat: bool
    is_multimodal: bool


class ModelList(_Response):
    object: Literal["list"]
    data: list[ModelCard]


class Usage(_Response):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopLogprobEntry(_Response):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprobEntry(_Response):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprobEntry]


class ChatLogprobs(_Response):
    content: list[TokenLogprobEntry]
    refusal: None


class CompletionLogprobs(_Response):
    text_offset: list[int]
    token_logprobs: list[float | None]
    tokens: list[str]
    top_logprobs: list[dict[str, float] | None]


class PromptTokenLogprob(_Response):
    logprob: float
    rank: int | None
    decoded_token: str


PromptLogprobs = list[dict[str, PromptTokenLogprob] | None]


class FunctionCall(_Response):
    name: str
    arguments: str


class ToolCall(_Response):
    id: str
    type: Literal["function"]
    function: FunctionCall


class ChatMessage(_Response):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None


class ChatChoice(_Response):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinishReason
    token_ids: list[int] | None = None


class ChatCompletion(_Response):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    prompt_logprobs: PromptLogprobs | None = None
    prompt_token_ids: list[int] | None = None


class FunctionDelta(_Response):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(_Response):
    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta


class ChatDelta(_Response):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChatChunkChoice(_Response):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinishReason | None
    token_ids: list[int] | None = None


class ChatCompletionChunk(_Response):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChatChunkChoice]
    prompt_token_ids: list[int] | None = None
    usage: Usage | None = None


class CompletionChoice(_Response):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs | None = None


class Completion(_Response):
    """Both a whole response and a chunk of a stream."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | None = None


class TokenizeResponse(_Response):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class DetokenizeResponse(_Response):
    prompt: str


# These cannot occur inside a string, where their quotes would be escaped.
_NO_CHOICES, _NO_LOGPROBS, _NO_PROMPT = b'"choices":[]', b'"logprobs":null', b'"prompt_logprobs":[]'


class Likelihoods(Protocol):
    """The log probabilities of a choice as JSON in pieces: they are too long to be written in one go."""

    @property
    def prompt_logprobs(self) -> Sequence[bytes] | None: ...

    def logprobs_json(self) -> Iterator[bytes]:
        """Yields nothing if there are none."""


def in_pieces(
    frame: ChatCompletion | Completion, choices: Iterable[ChatChoice | CompletionChoice], texts: Sequence[Likelihoods]
) -> Iterator[bytes]:
    """The JSON of a response in pieces: one for each choice, or several for a choice with log probabilities.

    `frame` is the response without log probabilities; `texts` has those of each choice. An empty list marks the place
    of a prompt's log probabilities, in each choice or in the frame.
    """
    head, _, tail = frame.json_bytes().partition(_NO_CHOICES)
    head += b'"choices":['
    for choice, found in zip(choices, texts, strict=True):
        text = choice.json_bytes()
        written = found.logprobs_json()
        opening = next(written, None)
        if opening is not None:
            before, _, text = text.partition(_NO_LOGPROBS)
            yield head + before + b'"logprobs":' + opening
            yield from written
            head = b""
        yield from _with_prompt(head + text, found.prompt_logprobs)
        head = b","
    yield from _with_prompt(b"]" + tail, texts[0].prompt_logprobs)


def _with_prompt(text: bytes, pieces: Sequence[bytes] | None) -> Iterator[bytes]:
    before, found, after = text.partition(_NO_PROMPT)
    if not found or pieces is None:
        yield text
        return
    yield before + _NO_PROMPT[:-1]
    yield from pieces
    yield b"]" + after
