import pytest

from mock_server.engine.base import GenerationParams
from mock_server.errors import ApiError
from mock_server.generation import PromptRun
from mock_server.likelihood_limits import MAX_OF_ANSWER, MAX_OF_PROMPTS, check_answer, check_prompts


def runs(tokens: int, top: int | None, *, n: int = 1, prompts: int = 1) -> list[PromptRun]:
    params = GenerationParams(max_tokens=1, prompt_logprobs=top, n=n)
    return [PromptRun([65] * tokens, params)] * prompts


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (MAX_OF_PROMPTS, runs(MAX_OF_PROMPTS, 0)),
        (MAX_OF_PROMPTS, runs(MAX_OF_PROMPTS // 100, 4, n=5, prompts=4)),
        (0, runs(10 * MAX_OF_PROMPTS, None)),
    ],
)
def test_log_probabilities_of_prompts_count_for_each_token_and_choice(count: int, found: list[PromptRun]) -> None:
    check_prompts(found, "prompt_logprobs")
    if count:
        with pytest.raises(ApiError, match="at most 100000: ask for fewer") as caught:
            check_prompts([*found, *runs(1, 0)], "prompt_logprobs")
        assert (caught.value.status, caught.value.param) == (400, "prompt_logprobs")


def test_log_probabilities_of_an_answer_have_a_limit() -> None:
    check_answer(MAX_OF_ANSWER)
    with pytest.raises(ApiError, match="stream it, or ask for fewer") as caught:
        check_answer(MAX_OF_ANSWER + 1)
    assert (caught.value.status, caught.value.param) == (400, "logprobs")
