"""How a request wants its tokens chosen, and how many fit: from the wire's fields to the engine's parameters."""

from collections.abc import Sequence

from .engine.base import EngineInfo, GenerationParams
from .errors import bad_request
from .requests import GenerationRequest


def generation_params(
    request: GenerationRequest,
    info: EngineInfo,
    *,
    num_prompt_tokens: int,
    max_tokens: int | None,
    prompt_field: str,
) -> GenerationParams:
    """`max_tokens` None fills the window; one that does not fit beside the prompt is cut to the room left.

    Raises `ApiError` (400) for what cannot be served whatever the room.
    """
    room = _room(info, num_prompt_tokens, prompt_field)
    if max_tokens is not None and max_tokens > info.max_model_len:
        raise bad_request(
            f"max_tokens must be at most {info.max_model_len}, the model's context length (got {max_tokens})",
            param="max_tokens",
            code="context_length_exceeded",
        )
    min_tokens = request.min_tokens or 0
    if max_tokens is not None and min_tokens > max_tokens:
        raise bad_request(f"min_tokens must be at most max_tokens, {max_tokens} (got {min_tokens})", param="min_tokens")
    stop_token_ids = frozenset(request.stop_token_ids or ())
    check_token_ids(stop_token_ids, info.vocab_size, "stop_token_ids")
    granted = room if max_tokens is None else min(max_tokens, room)
    return GenerationParams(
        max_tokens=granted,
        min_tokens=min(min_tokens, granted),
        n=request.n or 1,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        min_p=request.min_p,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        repetition_penalty=request.repetition_penalty,
        seed=request.seed,
        stop_token_ids=stop_token_ids,
        ignore_eos=bool(request.ignore_eos),
        final_only=not request.stream and not request.stop_strings,
    )


def check_token_ids(token_ids: Sequence[int] | frozenset[int], vocab_size: int, field: str) -> None:
    """Raises `ApiError` (400) for an id that the model does not have."""
    largest = max(token_ids, default=0)
    if largest >= vocab_size:
        raise bad_request(f"{field} must be below {vocab_size}, the vocabulary's size (got {largest})", param=field)


def check_stream_options(request: GenerationRequest) -> None:
    if request.stream_options is not None and not request.stream:
        raise bad_request("stream_options may only be set when stream is true", param="stream_options")


def _room(info: EngineInfo, num_prompt_tokens: int, prompt_field: str) -> int:
    if not num_prompt_tokens:
        raise bad_request(f"{prompt_field} must not be empty", param=prompt_field)
    if num_prompt_tokens >= info.max_model_len:
        raise bad_request(
            f"{prompt_field} has {num_prompt_tokens} tokens; the model's context length is {info.max_model_len},"
            " the answer included. Shorten it.",
            param=prompt_field,
            code="context_length_exceeded",
        )
    return info.max_model_len - num_prompt_tokens
