"""From the sampling fields of a request to an engine's parameters, within the room that the context leaves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mock_server.engine.base import SAMPLING, EngineInfo, GenerationParams, StructuredOutput
from mock_server.errors import ApiError, bad_request
from mock_server.request.bodies import ChatRequest, CompletionRequest, GenerationRequest
from mock_server.request.structured import structured_output

_CONTEXT_EXCEEDED = "context_length_exceeded"
_COMPLETION_MAX_TOKENS = 16  # OpenAI's default, for completions alone
_LONGEST_ID = 19  # digits; int() refuses more than 4,300


def truncated(request: GenerationRequest, token_ids: list[int], info: EngineInfo) -> list[int]:
    """The last tokens of a prompt, if the request wants only these."""
    most = request.truncate_prompt_tokens
    if most == 0:
        raise bad_request("truncate_prompt_tokens must be at least 1, or -1", param="truncate_prompt_tokens")
    if most is None:
        return token_ids
    return token_ids[-(info.max_model_len - 1 if most == -1 else most) :]


def chat_params(
    request: ChatRequest, info: EngineInfo, num_prompt_tokens: int, calls: StructuredOutput | None = None
) -> GenerationParams:
    """A chat answer may fill the context unless the request or the model sets a limit. Raises `ApiError` (400).

    `calls`: the constraint for an answer that must call tools.
    """
    has_newer_name = request.max_completion_tokens is not None
    return _generation_params(
        request,
        info,
        num_prompt_tokens=num_prompt_tokens,
        max_tokens=request.max_completion_tokens if has_newer_name else request.max_tokens,
        max_tokens_field="max_completion_tokens" if has_newer_name else "max_tokens",
        default_max_tokens=info.default_max_tokens,
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        logprobs_field="top_logprobs",
        prompt_field="messages",
        calls=calls,
    )


def completion_params(
    request: CompletionRequest, info: EngineInfo, num_prompt_tokens: int, like: GenerationParams | None = None
) -> GenerationParams:
    """With `max_tokens` 0, scores the echoed prompt and generates nothing. Raises `ApiError` (400).

    `like`: the parameters of another prompt of the request. Prompts share what does not depend on their lengths.
    """
    if request.max_tokens == 0 and not request.echo:
        raise bad_request(
            "max_tokens must be at least 1 unless echo is true, which returns the prompt alone (got 0)",
            param="max_tokens",
        )
    defaults = [_COMPLETION_MAX_TOKENS, *([info.default_max_tokens] if info.default_max_tokens else [])]
    return _generation_params(
        request,
        info,
        num_prompt_tokens=num_prompt_tokens,
        max_tokens=request.max_tokens,
        max_tokens_field="max_tokens",
        default_max_tokens=min(defaults),
        logprobs=completion_logprobs(request),
        logprobs_field="logprobs",
        prompt_field="prompt",
        like=like,
    )


def completion_logprobs(request: CompletionRequest) -> int | None:
    """The number of likeliest tokens for each position; None: no log probabilities."""
    if request.logprobs is None or request.logprobs is False:
        return None
    return (request.top_logprobs or 0) if request.logprobs is True else request.logprobs


def _generation_params(
    request: GenerationRequest,
    info: EngineInfo,
    *,
    num_prompt_tokens: int,
    max_tokens: int | None,
    max_tokens_field: str,
    default_max_tokens: int | None,
    logprobs: int | None,
    logprobs_field: str,
    prompt_field: str,
    calls: StructuredOutput | None = None,
    like: GenerationParams | None = None,
) -> GenerationParams:
    """Cuts `max_tokens` to the room that the prompt leaves."""
    room = _room(info, num_prompt_tokens, prompt_field)
    if max_tokens is not None and max_tokens > info.max_model_len:
        raise _context_exceeded(info, num_prompt_tokens, max_tokens, prompt_field, param=max_tokens_field)
    wanted = max_tokens
    if wanted is None and default_max_tokens is not None:
        wanted = max(default_max_tokens, request.min_tokens or 0)
    granted = room if wanted is None else min(wanted, room)
    min_tokens = min(request.min_tokens or 0, granted)
    if like is not None:
        return replace(like, max_tokens=granted, min_tokens=min_tokens)
    _check_min_tokens(request, max_tokens, max_tokens_field)
    _check_logprobs(request, info, logprobs, logprobs_field)
    prompt_logprobs = request.prompt_logprobs
    if isinstance(request, CompletionRequest) and request.echo and logprobs is not None:
        prompt_logprobs = max(logprobs, prompt_logprobs or 0)
    return GenerationParams(
        max_tokens=granted,
        min_tokens=min_tokens,
        n=request.n or 1,
        **{name: getattr(request, name) for name in SAMPLING},
        seed=request.seed,
        stop_token_ids=_token_ids(request.stop_token_ids, info, "stop_token_ids"),
        ignore_eos=bool(request.ignore_eos),
        logprobs=logprobs,
        prompt_logprobs=prompt_logprobs,
        logit_bias=_logit_bias(request, info),
        allowed_token_ids=tuple(sorted(_token_ids(request.allowed_token_ids, info, "allowed_token_ids"))),
        bad_words=tuple(request.bad_words or ()),
        structured_output=_structured_output(request, calls),
        priority=request.priority or 0,
        final_only=not request.stream and not request.stop_strings and logprobs is None,
    )


def _structured_output(request: GenerationRequest, calls: StructuredOutput | None) -> StructuredOutput | None:
    wanted = structured_output(request)
    if wanted is not None and calls is not None:
        raise bad_request(
            "tool_choice requires a tool call, so the answer cannot have another structure: leave one of them out",
            param="tool_choice",
        )
    return calls or wanted


def check_token_ids(token_ids: Collection[int], vocab_size: int, field: str) -> None:
    """Raises `ApiError` (400) for an id outside the vocabulary."""
    largest = max(token_ids, default=0)
    if largest >= vocab_size:
        raise bad_request(f"{field} must be below the vocabulary size, {vocab_size} (got {largest})", param=field)


def check_stream_options(request: GenerationRequest) -> None:
    """Raises `ApiError` (400) for fields that do not fit a stream, or do not fit a whole answer."""
    if request.stream_options is not None and not request.stream:
        raise bad_request("stream_options may only be set when stream is true", param="stream_options")
    if request.prompt_logprobs is not None and request.stream:
        raise bad_request(
            "prompt_logprobs cannot be streamed: leave out prompt_logprobs or stream", param="prompt_logprobs"
        )


def _room(info: EngineInfo, num_prompt_tokens: int, prompt_field: str) -> int:
    if not num_prompt_tokens:
        raise bad_request(f"{prompt_field} must not be empty", param=prompt_field)
    if num_prompt_tokens >= info.max_model_len:
        raise _context_exceeded(info, num_prompt_tokens, 1, prompt_field, param=prompt_field)
    return info.max_model_len - num_prompt_tokens


def _context_exceeded(
    info: EngineInfo, num_prompt_tokens: int, num_answer_tokens: int, prompt_field: str, *, param: str
) -> ApiError:
    """Uses OpenAI's wording, by which clients recognize this error and fall back to a model with a longer context.

    litellm looks for the first sentence, and langchain for the code, which newer OpenAI clients omit from their text.
    """
    remedy = prompt_field if param == prompt_field else f"{prompt_field} or completion"
    if num_prompt_tokens > info.max_model_len:
        problem = f"your {prompt_field} resulted in {num_prompt_tokens} tokens"
    else:
        total = num_prompt_tokens + num_answer_tokens
        problem = (
            f"you requested {total} tokens ({num_prompt_tokens} in the {prompt_field},"
            f" {num_answer_tokens} in the completion)"
        )
    return bad_request(
        f"This model's maximum context length is {info.max_model_len} tokens. However, {problem}."
        f" Please reduce the length of the {remedy}. ({_CONTEXT_EXCEEDED})",
        param=param,
        code=_CONTEXT_EXCEEDED,
    )


def _check_min_tokens(request: GenerationRequest, max_tokens: int | None, max_tokens_field: str) -> None:
    min_tokens = request.min_tokens or 0
    if max_tokens is not None and min_tokens > max_tokens:
        raise bad_request(
            f"min_tokens must be at most {max_tokens_field}, {max_tokens} (got {min_tokens})", param="min_tokens"
        )


def _check_logprobs(request: GenerationRequest, info: EngineInfo, logprobs: int | None, field: str) -> None:
    if request.top_logprobs and logprobs is None:
        raise bad_request("top_logprobs requires logprobs to be true", param="top_logprobs")
    for name, count in ((field, logprobs), ("prompt_logprobs", request.prompt_logprobs)):
        if count is not None and count > info.max_logprobs:
            raise bad_request(f"{name} must be at most {info.max_logprobs} (got {count})", param=name)


def _token_ids(token_ids: list[int] | None, info: EngineInfo, field: str) -> frozenset[int]:
    check_token_ids(token_ids or (), info.vocab_size, field)
    return frozenset(token_ids or ())


def _logit_bias(request: GenerationRequest, info: EngineInfo) -> dict[int, float]:
    biases: dict[int, float] = {}
    for key, bias in (request.logit_bias or {}).items():
        if not key.isdecimal() or len(key) > _LONGEST_ID:
            raise bad_request(f"logit_bias has a key that is not a token id: {key[:100]!r}", param="logit_bias")
        biases[int(key)] = bias
    check_token_ids(biases, info.vocab_size, "logit_bias")
    return biases
