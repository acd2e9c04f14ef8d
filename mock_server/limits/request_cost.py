"""Checks what a request would cost against the server's limits, before an engine sees it and without doing the work.

This protects every engine: vLLM compiles a grammar in C++, where nothing can interrupt it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mock_server.answer.generation import PromptRun
from mock_server.errors import bad_request
from mock_server.limits.call_cost import check_calls
from mock_server.limits.schema_cost import check_schemas, check_template_values
from mock_server.request.bodies import ChatRequest, CompletionRequest, GenerationRequest, TokenizeRequest
from mock_server.request_limits import (
    BYTES_A_CHOICE,
    BYTES_A_LIKELIHOOD,
    MAX_ANSWER_LIKELIHOODS,
    MAX_BAD_WORDS_LENGTH,
    MAX_EFFORT_LENGTH,
    MAX_ITEMS_OF_ALL_CHOICES,
    MAX_PROMPT_LIKELIHOODS,
    RequestLimits,
)

_CHARACTERS_A_TOKEN = 4


def check_request(request: GenerationRequest, limits: RequestLimits) -> int:
    """Returns how many choices it asks for. Raises `ApiError` (400), with field and limit, if it asks for too much."""
    n = request.n or 1
    prompts = _num_prompts(request) if isinstance(request, CompletionRequest) else 1
    choices = n * prompts
    if limits.choices and choices > limits.choices:
        asking = "n asks" if prompts == 1 else "prompt asks" if n == 1 else "prompt and n ask"
        raise bad_request(
            f"{asking} for {choices} choices; one request may have at most {limits.choices} (--max-choices)",
            param="n" if prompts == 1 else "prompt",
        )
    _check_lists(request, choices)
    if not request.stream:
        _check_answer(request, choices, limits.answer_tokens)
    check_schemas(request, choices, limits.schema_characters)
    if isinstance(request, ChatRequest):
        _check_effort(request)
        check_calls(request.messages)
    return choices


def check_tokenize(request: TokenizeRequest, limits: RequestLimits) -> None:
    """Raises `ApiError` (400) for what would be too much in a chat as well."""
    check_template_values(request, limits.schema_characters)
    _check_effort(request)
    check_calls(request.messages or ())


def check_prompts(request: GenerationRequest, runs: Sequence[PromptRun], limits: RequestLimits) -> int:
    """Returns how many bytes of the answer repeat or describe prompts. Raises `ApiError` (400) for too many of them."""
    return _repeated_bytes(request, runs, limits) + BYTES_A_LIKELIHOOD * _prompt_likelihoods(runs)


def _repeated_bytes(request: GenerationRequest, runs: Sequence[PromptRun], limits: RequestLimits) -> int:
    has_echo = isinstance(request, CompletionRequest) and bool(request.echo)
    if not (has_echo or request.return_token_ids):
        return 0
    is_written_once = isinstance(request, ChatRequest) and not request.stream
    tokens = sum(_repeated_tokens(request, run) * (1 if is_written_once else run.params.n) for run in runs)
    if limits.answer_tokens and tokens > limits.answer_tokens:
        field = "echo" if has_echo else "return_token_ids"
        raise bad_request(
            f"{field} asks for the prompt in each choice, {tokens} tokens in all; one answer may have at most"
            f" {limits.answer_tokens} (--max-answer-tokens): ask for fewer choices",
            param=field,
        )
    return tokens * _CHARACTERS_A_TOKEN


def check_prompt_likelihoods(runs: Sequence[PromptRun], field: str) -> None:
    """Raises `ApiError` (400) before the engine computes any of them."""
    wanted = _prompt_likelihoods(runs)
    if wanted > MAX_PROMPT_LIKELIHOODS:
        raise bad_request(
            f"{field} asks for {wanted} log probabilities of prompts; one answer may have at most"
            f" {MAX_PROMPT_LIKELIHOODS}: ask for fewer of the likeliest tokens, or send shorter prompts",
            param=field,
        )


def _prompt_likelihoods(runs: Sequence[PromptRun]) -> int:
    return sum(
        len(run.token_ids) * (1 + run.params.prompt_logprobs) * run.params.n
        for run in runs
        if run.params.prompt_logprobs is not None
    )


def check_answer_likelihoods(count: int) -> None:
    """Raises `ApiError` (400) if an answer that is not streamed has too many."""
    if count > MAX_ANSWER_LIKELIHOODS:
        raise bad_request(
            f"logprobs: the answer has more than {MAX_ANSWER_LIKELIHOODS} log probabilities, the limit for answers"
            " that are not streamed: stream it, or ask for fewer",
            param="logprobs",
        )


def in_choices(choices: int, num_bytes: int) -> int:
    """How many choices in progress a request counts as, with a body and repeated prompts of this size."""
    return max(choices, -(-num_bytes // BYTES_A_CHOICE))


def _num_prompts(request: CompletionRequest) -> int:
    prompt = request.prompt
    return 1 if isinstance(prompt, str) or isinstance(prompt[0], int) else len(prompt)


def _repeated_tokens(request: GenerationRequest, run: PromptRun) -> int:
    text = len(run.echo.text) // _CHARACTERS_A_TOKEN if run.echo is not None else 0
    return max(text, len(run.token_ids)) if request.return_token_ids else text


def _check_answer(request: GenerationRequest, choices: int, limit: int) -> None:
    field, max_tokens = "max_tokens", request.max_tokens
    if isinstance(request, ChatRequest) and request.max_completion_tokens is not None:
        field, max_tokens = "max_completion_tokens", request.max_completion_tokens
    if limit and max_tokens is not None and choices > 1 and choices * max_tokens > limit:
        raise bad_request(
            f"{field} allows {max_tokens} tokens in each of {choices} choices; an answer that is not streamed may have"
            f" at most {limit} in all (--max-answer-tokens): stream it, or ask for fewer",
            param=field,
        )


def _check_effort(request: ChatRequest | TokenizeRequest) -> None:
    """Checks the effort that templates get: they write it into the prompt or into an error."""
    effort = (request.chat_template_kwargs or {}).get("reasoning_effort")
    if isinstance(effort, (list, dict)) or (isinstance(effort, str) and len(effort) > MAX_EFFORT_LENGTH):
        raise bad_request(
            f"chat_template_kwargs.reasoning_effort must be one word of at most {MAX_EFFORT_LENGTH} characters, such as"
            " high",
            param="chat_template_kwargs.reasoning_effort",
        )


def _check_lists(request: GenerationRequest, choices: int) -> None:
    """Engines keep these lists for each choice."""
    if not (request.allowed_token_ids or request.logit_bias or request.bad_words or request.stop_token_ids):
        return
    for field in ("allowed_token_ids", "logit_bias", "bad_words", "stop_token_ids"):
        length = len(getattr(request, field) or ())
        if length * choices > MAX_ITEMS_OF_ALL_CHOICES:
            raise bad_request(
                f"{field} has {length} items, which is too many for {choices} choices: the product may be at most"
                f" {MAX_ITEMS_OF_ALL_CHOICES}",
                param=field,
            )
    length = sum(map(len, request.bad_words or ()))
    if length > MAX_BAD_WORDS_LENGTH:
        raise bad_request(
            f"bad_words has {length} characters in all; one request may have at most {MAX_BAD_WORDS_LENGTH}: forbid"
            " fewer words",
            param="bad_words",
        )
    if length * choices > MAX_ITEMS_OF_ALL_CHOICES:
        raise bad_request(
            f"bad_words has {length} characters, which is too many for {choices} choices: the product may be at most"
            f" {MAX_ITEMS_OF_ALL_CHOICES}",
            param="bad_words",
        )
