import pytest

from mock_server.engine.base import EngineInfo, GenerationParams
from mock_server.errors import ApiError
from mock_server.requests import CompletionRequest
from mock_server.sampling import check_stream_options, check_token_ids, generation_params

INFO = EngineInfo("sim", "demo", max_model_len=100, vocab_size=1000)


def params(max_tokens: int | None = None, prompt: int = 10, **fields: object) -> GenerationParams:
    request = CompletionRequest.model_validate({"prompt": "a", **fields})
    return generation_params(request, INFO, num_prompt_tokens=prompt, max_tokens=max_tokens, prompt_field="prompt")


def refusal(max_tokens: int | None = None, prompt: int = 10, **fields: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        params(max_tokens, prompt, **fields)
    assert caught.value.status == 400
    return caught.value


def test_what_was_not_said_stays_unsaid() -> None:
    assert params(5) == GenerationParams(max_tokens=5, final_only=True)


def test_what_was_said_arrives() -> None:
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


@pytest.mark.parametrize(("max_tokens", "granted"), [(None, 90), (5, 5), (90, 90), (91, 90), (100, 90)])
def test_tokens_are_granted_as_far_as_the_window_goes(max_tokens: int | None, granted: int) -> None:
    assert params(max_tokens).max_tokens == granted


@pytest.mark.parametrize(("prompt", "max_tokens"), [(100, 1), (101, 1), (10, 101)])
def test_what_can_never_fit_is_refused(prompt: int, max_tokens: int) -> None:
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
    assert "must be below 1000" in refusal(5, stop_token_ids=[1000]).message
    check_token_ids([0, 999], 1000, "prompt")
    check_token_ids([], 1000, "prompt")


@pytest.mark.parametrize(("fields", "final_only"), [({}, True), ({"stream": True}, False), ({"stop": "x"}, False)])
def test_only_who_needs_nothing_before_the_end_says_so(fields: dict[str, object], final_only: bool) -> None:
    assert params(5, **fields).final_only is final_only


def test_stream_options_want_a_stream() -> None:
    without = CompletionRequest.model_validate({"prompt": "a", "stream_options": {"include_usage": True}})
    with pytest.raises(ApiError, match="stream_options may only be set when stream is true"):
        check_stream_options(without)
    check_stream_options(without.model_copy(update={"stream": True}))
