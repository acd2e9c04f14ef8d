"""The cost of requests, and which of them every server refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.answer.generation import Echo, PromptRun
from mock_server.engine.base import GenerationParams
from mock_server.errors import ApiError
from mock_server.limits.request_cost import (
    check_answer_likelihoods,
    check_prompt_likelihoods,
    check_prompts,
    check_request,
    check_tokenize,
    in_choices,
)
from mock_server.request.bodies import ChatRequest, CompletionRequest, TokenizeRequest
from mock_server.request_limits import MAX_ANSWER_LIKELIHOODS, MAX_PROMPT_LIKELIHOODS, RequestLimits


def runs(tokens: int, top: int | None, *, n: int = 1, prompts: int = 1) -> list[PromptRun]:
    params = GenerationParams(max_tokens=1, prompt_logprobs=top, n=n)
    return [PromptRun([65] * tokens, params)] * prompts


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (MAX_PROMPT_LIKELIHOODS, runs(MAX_PROMPT_LIKELIHOODS, 0)),
        (MAX_PROMPT_LIKELIHOODS, runs(MAX_PROMPT_LIKELIHOODS // 100, 4, n=5, prompts=4)),
        (0, runs(10 * MAX_PROMPT_LIKELIHOODS, None)),
    ],
)
def test_log_probabilities_of_prompts_count_for_each_token_and_choice(count: int, found: list[PromptRun]) -> None:
    check_prompt_likelihoods(found, "prompt_logprobs")
    if count:
        with pytest.raises(ApiError, match="at most 100000: ask for fewer") as caught:
            check_prompt_likelihoods([*found, *runs(1, 0)], "prompt_logprobs")
        assert (caught.value.status, caught.value.param) == (400, "prompt_logprobs")


def test_log_probabilities_of_an_answer_have_a_limit() -> None:
    check_answer_likelihoods(MAX_ANSWER_LIKELIHOODS)
    with pytest.raises(ApiError, match="stream it, or ask for fewer") as caught:
        check_answer_likelihoods(MAX_ANSWER_LIKELIHOODS + 1)
    assert (caught.value.status, caught.value.param) == (400, "logprobs")


LIMITS = RequestLimits(choices=100, answer_tokens=1_000, schema_characters=200)
UNLIMITED = RequestLimits(choices=0, choices_in_progress=0, answer_tokens=0, schema_characters=0)


def completion(**fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"prompt": "a", **fields})


def chat(**fields: Any) -> ChatRequest:
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": "a"}], **fields})


def refused(request: CompletionRequest | ChatRequest, limits: RequestLimits = LIMITS) -> ApiError:
    """By a limit that an option can lift."""
    with pytest.raises(ApiError) as caught:
        check_request(request, limits)
    assert caught.value.status == 400
    assert check_request(request, UNLIMITED) > 0
    return caught.value


def always_refused(request: CompletionRequest | ChatRequest) -> ApiError:
    with pytest.raises(ApiError) as caught:
        check_request(request, UNLIMITED)
    assert caught.value.status == 400
    return caught.value


@given(st.integers(1, 60), st.integers(1, 100), st.booleans())
def test_choices_are_prompts_times_n(prompts: int, n: int, in_tokens: bool) -> None:
    request = completion(prompt=[[1, 2] if in_tokens else "a"] * prompts, n=n)
    if prompts * n <= LIMITS.choices:
        assert check_request(request, LIMITS) == prompts * n
    else:
        error = refused(request)
        assert f" {prompts * n} choices; one request may have at most 100 (--max-choices)" in error.message
        assert error.param == ("n" if prompts == 1 else "prompt")


@pytest.mark.parametrize("prompt", ["abc", [1, 2, 3]])
def test_a_single_prompt_counts_as_one_in_either_form(prompt: Any) -> None:
    assert check_request(completion(prompt=prompt), LIMITS) == 1


def test_several_choices_together_may_not_ask_for_a_longer_answer_than_the_limit() -> None:
    error = refused(completion(n=11, max_tokens=100))
    assert error.param == "max_tokens"
    assert "100 tokens in each of 11 choices" in error.message
    assert refused(chat(n=11, max_completion_tokens=100)).param == "max_completion_tokens"
    for fits in ({"n": 10, "max_tokens": 100}, {"n": 11, "max_tokens": 100, "stream": True}, {"n": 100}):
        check_request(completion(**fits), LIMITS)
    check_request(completion(max_tokens=1_001), LIMITS)  # one choice is as long as the context allows


def prompt_run(tokens: int, n: int, text: str | None = None) -> list[PromptRun]:
    return [PromptRun([1] * tokens, GenerationParams(max_tokens=1, n=n), None if text is None else Echo(text))]


def test_prompts_that_an_answer_repeats_count() -> None:
    assert check_prompts(completion(), prompt_run(2_000, 9), LIMITS) == 0
    assert check_prompts(completion(echo=True), prompt_run(1, 10, "a" * 400), LIMITS) == 4_000
    assert check_prompts(completion(return_token_ids=True), prompt_run(100, 10), LIMITS) == 4_000
    for field, found in (("echo", prompt_run(1, 10, "a" * 404)), ("return_token_ids", prompt_run(101, 10))):
        with pytest.raises(ApiError, match=f"{field} asks for the prompt in each choice, 1010 tokens") as caught:
            check_prompts(completion(**{field: True}), found, LIMITS)
        assert caught.value.param == field


def test_a_chat_repeats_its_prompt_for_each_choice_of_a_stream_and_once_otherwise() -> None:
    assert check_prompts(chat(), prompt_run(2_000, 9), LIMITS) == 0
    assert check_prompts(chat(return_token_ids=True), prompt_run(1_000, 128), LIMITS) == 4_000
    assert check_prompts(chat(return_token_ids=True, stream=True), prompt_run(100, 10), LIMITS) == 4_000
    with pytest.raises(ApiError, match="return_token_ids asks for the prompt in each choice, 1010 tokens") as caught:
        check_prompts(chat(return_token_ids=True, stream=True), prompt_run(101, 10), LIMITS)
    assert caught.value.param == "return_token_ids"


def of_schema(schema: Any) -> list[tuple[str, CompletionRequest | ChatRequest]]:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    wrapped = {"type": "json_schema", "json_schema": {"schema": schema}}
    return [
        ("structured_outputs.json", completion(structured_outputs={"json": schema})),
        ("response_format.json_schema.schema", completion(response_format=wrapped)),
        ("response_format.schema", chat(response_format={"type": "json_object", "schema": schema})),
        ("tools.0.function.parameters", chat(tools=[tool])),
        ("chat_template_kwargs", chat(chat_template_kwargs=schema)),
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"const": "a" * 200},
        {"a" * 200: True},
        {"enum": list(range(100))},
        {"anyOf": [{}] * 100},
        {"a": {"b": [[["a" * 199]]]}},
    ],
)
def test_schemas_have_a_limit_wherever_they_are(schema: Any) -> None:
    for field, request in of_schema(schema):
        error = refused(request)
        assert error.param == field
        assert error.message == f"{field} has more than 200 characters (--max-schema-size)"


@pytest.mark.parametrize("kind", ["json", "regex", "grammar", "structural_tag", "whitespace_pattern"])
def test_texts_of_constraints_have_the_same_limit(kind: str) -> None:
    assert refused(completion(structured_outputs={kind: "a" * 201})).param == f"structured_outputs.{kind}"
    check_request(completion(structured_outputs={kind: "a" * 190}), LIMITS)


def test_the_parameters_of_all_tools_count_together() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"const": "a" * 100}}}] * 2
    assert refused(chat(tools=tools)).param == "tools"


def test_a_schema_counts_for_each_choice() -> None:
    structure = {"json": {"const": "a" * 140}}  # counted as 154 characters
    check_request(completion(structured_outputs=structure, n=51), LIMITS)
    error = refused(completion(structured_outputs=structure, n=52))
    assert error.param == "n"
    assert "the product may be at most 8000" in error.message


@pytest.mark.parametrize(
    "schema", [{"pattern": "(a{999}){999}"}, {"not": [{"patternProperties": {"(a{999}){999}": True}}]}]
)
def test_repetitions_in_patterns_count_as_written_out(schema: Any) -> None:
    for field, request in of_schema(schema):
        error = always_refused(request)
        assert "more than 100000 characters with its counted repetitions" in error.message
        assert error.param == field
    for _, request in of_schema({"title": "(a{999}){999}"}):
        check_request(request, LIMITS)


def test_a_regular_expression_is_a_pattern() -> None:
    for kind in ("regex", "whitespace_pattern"):
        request = completion(structured_outputs={kind: "(a{999}){999}"})
        assert always_refused(request).param == f"structured_outputs.{kind}"


def test_bad_words_count_by_characters_and_for_each_choice() -> None:
    check_request(completion(bad_words=["a" * 1_000] * 50), UNLIMITED)
    error = always_refused(completion(bad_words=["a" * 1_000] * 50 + ["a"]))
    assert error.param == "bad_words"
    assert "50001 characters in all; one request may have at most 50000: forbid fewer words" in error.message
    check_request(completion(bad_words=["a" * 1_000] * 10, n=100), UNLIMITED)
    error = always_refused(completion(bad_words=["a" * 1_000] * 10, n=101))
    assert error.param == "bad_words"
    assert "10000 characters, which is too many for 101 choices: the product may be at most 1000000" in error.message


@pytest.mark.parametrize("effort", ["a" * 33, ["high"], {"a": 1}])
def test_an_effort_for_the_template_is_a_word(effort: Any) -> None:
    kwargs = {"reasoning_effort": effort}
    messages = [{"role": "user", "content": "a"}]
    tokenize = TokenizeRequest.model_validate({"messages": messages, "chat_template_kwargs": kwargs})
    with pytest.raises(ApiError, match="one word of at most 32 characters") as caught:
        check_tokenize(tokenize, UNLIMITED)
    assert caught.value.param == "chat_template_kwargs.reasoning_effort"
    assert always_refused(chat(chat_template_kwargs=kwargs)).message == caught.value.message
    for fits in ("a" * 32, 3, None, True):
        check_request(chat(chat_template_kwargs={"reasoning_effort": fits}), LIMITS)


def test_large_bodies_count_as_several_choices() -> None:
    assert in_choices(3, 100) == 3
    assert in_choices(3, 8 * 1024 * 5) == 5
    assert in_choices(1, 8 * 1024 * 5 + 1) == 6
