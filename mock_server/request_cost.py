"""What a request would cost, checked against the server's limits before an engine sees it. Nothing here waits or works.

Every engine is protected by it: a grammar of vLLM's is compiled in C++, which cannot be interrupted.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from .errors import ApiError, bad_request
from .generation import PromptRun
from .pattern_size import pattern_size
from .request_limits import (
    BYTES_A_CHOICE,
    MAX_ANSWER_LIKELIHOODS,
    MAX_ITEMS_OF_ALL_CHOICES,
    MAX_PATTERN_SIZE,
    MAX_PROMPT_LIKELIHOODS,
    SCHEMAS_OF_ALL_CHOICES,
    RequestLimits,
)
from .requests import ChatRequest, CompletionRequest, GenerationRequest, StructuredOutputs

_CHARACTERS_A_TOKEN = 4


def check_request(request: GenerationRequest, limits: RequestLimits) -> int:
    """How many choices it asks for. Raises `ApiError` (400) for what no request may ask for, naming field and limit."""
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
    if limits.schema_characters:
        _check_schemas(request, choices, limits.schema_characters)
    return choices


def check_prompts(request: GenerationRequest, runs: Sequence[PromptRun], limits: RequestLimits) -> int:
    """The bytes of the prompts that the answer repeats, once they are known. Raises `ApiError` (400) for too many."""
    if not isinstance(request, CompletionRequest) or not (request.echo or request.return_token_ids):
        return 0
    tokens = sum(_repeated_tokens(request, run) * run.params.n for run in runs)
    if limits.answer_tokens and tokens > limits.answer_tokens:
        field = "echo" if request.echo else "return_token_ids"
        raise bad_request(
            f"{field} asks for the prompt in each choice, {tokens} tokens in all; one answer may have at most"
            f" {limits.answer_tokens} (--max-answer-tokens): ask for fewer choices",
            param=field,
        )
    return tokens * _CHARACTERS_A_TOKEN


def check_prompt_likelihoods(runs: Sequence[PromptRun], field: str) -> None:
    """Raises `ApiError` (400) before any is computed."""
    wanted = sum(
        len(run.token_ids) * (1 + run.params.prompt_logprobs) * run.params.n
        for run in runs
        if run.params.prompt_logprobs is not None
    )
    if wanted > MAX_PROMPT_LIKELIHOODS:
        raise bad_request(
            f"{field} asks for {wanted} log probabilities of prompts; one answer may have at most"
            f" {MAX_PROMPT_LIKELIHOODS}: ask for fewer of the likeliest tokens, or send shorter prompts",
            param=field,
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
    """What a request counts as among all in progress, with a body and repeated prompts of this size."""
    return max(choices, -(-num_bytes // BYTES_A_CHOICE))


def _num_prompts(request: CompletionRequest) -> int:
    prompt = request.prompt
    return 1 if isinstance(prompt, str) or isinstance(prompt[0], int) else len(prompt)


def _repeated_tokens(request: CompletionRequest, run: PromptRun) -> int:
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


def _check_lists(request: GenerationRequest, choices: int) -> None:
    """An engine keeps them for each choice."""
    for field in ("allowed_token_ids", "logit_bias", "bad_words", "stop_token_ids"):
        length = len(getattr(request, field) or ())
        if length * choices > MAX_ITEMS_OF_ALL_CHOICES:
            raise bad_request(
                f"{field} has {length} items, which is too many for {choices} choices: the product may be at most"
                f" {MAX_ITEMS_OF_ALL_CHOICES}",
                param=field,
            )


def _check_schemas(request: GenerationRequest, choices: int, limit: int) -> None:
    total = 0
    for field, value in _schemas(request):
        size = _Size(field, limit)
        size.add(value, is_pattern=field == "structured_outputs.regex")
        total += size.characters
    if total > limit:
        raise _schema_too_large("tools", limit)
    if total * choices > SCHEMAS_OF_ALL_CHOICES * limit:
        raise bad_request(
            f"{choices} choices are too many for a structure of {total} characters: the product may be at most"
            f" {SCHEMAS_OF_ALL_CHOICES * limit} ({SCHEMAS_OF_ALL_CHOICES} times --max-schema-size)",
            param="n" if request.n else "prompt",
        )


def _schemas(request: GenerationRequest) -> Iterator[tuple[str, Any]]:
    """Fields and values of what answers are held to, or templates are given."""
    wanted = request.structured_outputs
    if wanted is not None:
        for name in StructuredOutputs.model_fields:
            yield f"structured_outputs.{'json' if name == 'json_schema' else name}", getattr(wanted, name)
    if request.response_format is not None:
        wrapped = request.response_format.json_schema
        yield "response_format.json_schema.schema", wrapped.json_schema if wrapped is not None else None
        yield "response_format.schema", request.response_format.plain_schema
    if isinstance(request, ChatRequest):
        yield "chat_template_kwargs", request.chat_template_kwargs
        for index, tool in enumerate(request.tools or ()):
            yield f"tools.{index}.function.parameters", tool.function.parameters


class _Size:
    """Counts the characters of a schema, each value as two at least. It stops above the limit."""

    def __init__(self, field: str, limit: int) -> None:
        self._field = field
        self._limit = limit
        self.characters = 0

    def add(self, value: Any, *, is_pattern: bool = False) -> None:
        """Raises `ApiError` (400) above the limit, and for a pattern that is too large."""
        rest: list[tuple[Any, bool]] = [(value, is_pattern)]
        while rest:
            found, is_pattern = rest.pop()
            if found is None:
                continue
            if isinstance(found, str):
                self._count(len(found))
                if is_pattern:
                    self._check_pattern(found)
            elif isinstance(found, dict):
                for key, member in found.items():
                    self._count(len(key) + 1)
                    if key == "patternProperties" and isinstance(member, dict):
                        rest += [(pattern, True) for pattern in member]
                    rest.append((member, key == "pattern"))
            elif isinstance(found, list):
                rest += [(item, False) for item in found]
            self._count(2)

    def _count(self, characters: int) -> None:
        self.characters += characters
        if self.characters > self._limit:
            raise _schema_too_large(self._field, self._limit)

    def _check_pattern(self, pattern: str) -> None:
        if "{" in pattern and pattern_size(pattern, MAX_PATTERN_SIZE) > MAX_PATTERN_SIZE:
            raise bad_request(
                f"{self._field} has a regular expression of more than {MAX_PATTERN_SIZE} characters with its counted"
                " repetitions written out: repeat less",
                param=self._field,
            )


def _schema_too_large(field: str, limit: int) -> ApiError:
    return bad_request(f"{field} has more than {limit} characters (--max-schema-size)", param=field)
