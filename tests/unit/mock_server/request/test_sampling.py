from __future__ import annotations

from dataclasses import replace

import pytest

from mock_server.engine.base import SAMPLING, EngineInfo, GenerationParams, StructuredOutput
from mock_server.engine.ranges import Number
from mock_server.errors import ApiError
from mock_server.request.bodies import INT64_MAX, ChatRequest, CompletionRequest, GenerationRequest
from mock_server.request.sampling import chat_params, check_stream_options, check_token_ids, completion_params

INFO = EngineInfo("sim", "demo", max_model_len=100, vocab_size=1000)


def params(max_tokens: int | None = None, prompt: int = 10, **fields: object) -> GenerationParams:
    request = CompletionRequest.model_validate({"prompt": "a", "max_tokens": max_tokens, **fields})
    return completion_params(request, INFO, prompt)


def of_chat(info: EngineInfo = INFO, **fields: object) -> GenerationParams:
    request = ChatRequest.model_validate({"messages": [{"role": "user", "content": "hi"}], **fields})
    return chat_params(request, info, 10)


def refusal(max_tokens: int | None = None, prompt: int = 10, **fields: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        params(max_tokens, prompt, **fields)
    assert caught.value.status == 400
    return caught.value


def test_parameters_that_are_not_set_stay_none() -> None:
    assert params(5) == GenerationParams(max_tokens=5, final_only=True)
    assert of_chat() == GenerationParams(max_tokens=90, final_only=True)


def test_parameters_that_are_set_reach_the_engine() -> None:
    said = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "min_p": 0.1,
        "presence_penalty": 1.0,
        "frequency_penalty": -1.0,
        "repetition_penalty": 1.1,
        "seed": -7,
        "n": 3,
        "min_tokens": 2,
        "ignore_eos": True,
    }
    arrived = params(5, **said, stop_token_ids=[7, 8], stream=True)
    assert arrived == GenerationParams(max_tokens=5, stop_token_ids=frozenset({7, 8}), **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(("max_tokens", "granted"), [(None, 16), (5, 5), (90, 90), (91, 90), (100, 90)])
def test_max_tokens_is_cut_to_the_room_in_the_context(max_tokens: int | None, granted: int) -> None:
    assert params(max_tokens).max_tokens == granted


@pytest.mark.parametrize(
    ("fields", "default", "granted"),
    [
        ({}, None, 90),
        ({}, 40, 40),
        ({}, 4000, 90),
        ({"max_tokens": 50}, 40, 50),
        ({"max_completion_tokens": 7, "max_tokens": 50}, 40, 7),
        ({"min_tokens": 60}, 40, 60),
    ],
)
def test_the_length_of_a_chat_answer_is_the_requests_or_else_the_models_limit(
    fields: dict[str, int], default: int | None, granted: int
) -> None:
    assert of_chat(replace(INFO, default_max_tokens=default), **fields).max_tokens == granted


@pytest.mark.parametrize(("default", "granted"), [(None, 16), (8, 8), (2048, 16)])
def test_a_completion_has_sixteen_tokens_unless_the_request_sets_another_limit(
    default: int | None, granted: int
) -> None:
    request = CompletionRequest.model_validate({"prompt": "a"})
    assert completion_params(request, replace(INFO, default_max_tokens=default), 10).max_tokens == granted


def test_log_probabilities_in_either_form() -> None:
    assert of_chat(logprobs=True).logprobs == 0
    assert of_chat(logprobs=True, top_logprobs=3).logprobs == 3
    assert of_chat(logprobs=False).logprobs is None
    assert params(5, logprobs=0).logprobs == 0
    assert params(5, logprobs=3).logprobs == 3
    assert params(5, logprobs=True).logprobs == 0
    assert params(5, logprobs=True, top_logprobs=2).logprobs == 2
    assert params(5, logprobs=False).logprobs is None
    assert params(5, logprobs=4).prompt_logprobs is None
    assert params(5, logprobs=4, echo=True).prompt_logprobs == 4
    assert params(5, prompt_logprobs=2).prompt_logprobs == 2


def test_log_probabilities_have_a_limit() -> None:
    assert refusal(5, logprobs=21).param == "logprobs"
    assert refusal(5, prompt_logprobs=21).param == "prompt_logprobs"
    with pytest.raises(ApiError, match="top_logprobs must be at most 20"):
        of_chat(logprobs=True, top_logprobs=21)
    with pytest.raises(ApiError, match="requires logprobs"):
        of_chat(top_logprobs=2)


def test_constraints_on_tokens_reach_the_engine() -> None:
    arrived = params(
        5, logit_bias={"7": -100, "8": 1.5}, allowed_token_ids=[9, 8], bad_words=["no"], priority=-2,
        structured_outputs={"choice": ["yes", "no"]},
    )  # fmt: skip
    assert arrived.logit_bias == {7: -100, 8: 1.5}
    assert arrived.allowed_token_ids == (8, 9)
    assert arrived.bad_words == ("no",)
    assert arrived.priority == -2
    assert arrived.structured_output == StructuredOutput("choice", ["yes", "no"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"x": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"1000": 1}}, "logit_bias"),
        ({"logit_bias": {"9" * 5_000: 1}}, "logit_bias"),
        ({"allowed_token_ids": [1000]}, "allowed_token_ids"),
    ],
)
def test_constraints_on_unknown_tokens_are_refused(fields: dict[str, object], param: str) -> None:
    assert refusal(5, **fields).param == param


@pytest.mark.parametrize(("prompt", "max_tokens"), [(100, 1), (101, 1), (10, 101)])
def test_a_prompt_or_answer_that_cannot_fit_is_refused(prompt: int, max_tokens: int) -> None:
    error = refusal(max_tokens, prompt)
    assert error.code == "context_length_exceeded"
    assert error.param == ("prompt" if prompt >= 100 else "max_tokens")
    assert "100" in error.message


def test_an_empty_prompt_is_refused() -> None:
    assert refusal(5, 0).param == "prompt"


def test_min_tokens_stays_within_max_tokens_and_within_the_room() -> None:
    assert refusal(5, min_tokens=6).param == "min_tokens"
    assert params(100, prompt=95, min_tokens=50).min_tokens == 5


def test_ids_outside_the_vocabulary_are_refused() -> None:
    assert "must be below the vocabulary size, 1000" in refusal(5, stop_token_ids=[1000]).message
    check_token_ids([0, 999], 1000, "prompt")
    check_token_ids([], 1000, "prompt")


@pytest.mark.parametrize(("fields", "final_only"), [({}, True), ({"stream": True}, False), ({"stop": "x"}, False)])
def test_final_only_is_set_only_if_nothing_is_needed_before_the_end(
    fields: dict[str, object], final_only: bool
) -> None:
    assert params(5, **fields).final_only is final_only


def test_stream_options_require_a_stream() -> None:
    without = CompletionRequest.model_validate({"prompt": "a", "stream_options": {"include_usage": True}})
    with pytest.raises(ApiError, match="stream_options may only be set when stream is true"):
        check_stream_options(without)
    check_stream_options(without.model_copy(update={"stream": True}))


def test_log_probabilities_of_the_prompt_require_a_whole_answer() -> None:
    whole = CompletionRequest.model_validate({"prompt": "a", "prompt_logprobs": 1})
    check_stream_options(whole)
    with pytest.raises(ApiError, match="cannot be streamed"):
        check_stream_options(whole.model_copy(update={"stream": True}))


@pytest.mark.parametrize("name", SAMPLING)
def test_a_request_has_each_sampling_parameter_with_its_range(name: str) -> None:
    within = SAMPLING[name]
    schema = GenerationRequest.model_json_schema()["properties"][name]["anyOf"][0]
    low_key = "exclusiveMinimum" if isinstance(within, Number) and within.low_open else "minimum"
    assert schema[low_key] == within.low
    assert schema.get("maximum") in (within.high, INT64_MAX)
    assert schema["type"] == ("number" if isinstance(within, Number) else "integer")
