from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mock_server.engine.base import Delta, PositionLogprobs, TokenLogprob
from mock_server.engine.errors import EngineError
from mock_server.engine.vllm.outputs import read_deltas, read_position, read_prompt_logprobs


def entry(logprob: float, rank: int) -> SimpleNamespace:
    return SimpleNamespace(logprob=logprob, rank=rank, decoded_token=None)


def output(*completions: dict[str, Any], **fields: Any) -> SimpleNamespace:
    plain = {"index": 0, "token_ids": [], "finish_reason": None, "logprobs": None}
    return SimpleNamespace(outputs=[SimpleNamespace(**plain | completion) for completion in completions], **fields)


def test_each_choices_new_tokens_are_read() -> None:
    deltas = read_deltas(
        output({"token_ids": [5, 6]}, {"index": 1, "token_ids": [7], "finish_reason": "stop"}, {"index": 2})
    )
    assert deltas == [Delta(0, [5, 6], None), Delta(1, [7], "stop")]


def test_an_end_without_tokens_is_an_end() -> None:
    assert read_deltas(output({"finish_reason": "length"})) == [Delta(0, [], "length")]


def test_identical_choices_are_copies() -> None:
    deltas = read_deltas(output({"token_ids": [5], "finish_reason": "length"}), num_copies=3)
    assert deltas == [Delta(number, [5], "length") for number in range(3)]


@pytest.mark.parametrize("reason", ["abort", "error", "repetition"])
def test_an_unrequested_end_is_a_failure(reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        read_deltas(output({"token_ids": [5], "finish_reason": reason}))


def test_the_likeliest_tokens_are_in_order_of_rank_and_the_token_itself_is_found() -> None:
    position = read_position(9, {9: entry(-5.0, 40), 4: entry(-1.0, 2), 3: entry(-0.5, 1)})
    assert position.chosen == TokenLogprob(9, -5.0, 40)
    assert [token.token_id for token in position.top] == [3, 4, 9]


@pytest.mark.parametrize(("rank", "top"), [(1, [TokenLogprob(9, -0.1, 1)]), (3, ())])
def test_a_token_alone_is_among_the_likeliest_only_if_it_is_the_likeliest(rank: int, top: object) -> None:
    assert read_position(9, {9: entry(-0.1, rank)}) == PositionLogprobs(TokenLogprob(9, -0.1, rank), top)  # type: ignore[arg-type]


def test_log_probabilities_match_their_tokens() -> None:
    (delta,) = read_deltas(output({"token_ids": [5, 6], "logprobs": [{5: entry(-1.0, 1)}, {6: entry(-2.0, 1)}]}))
    assert delta.logprobs is not None
    assert [position.chosen.logprob for position in delta.logprobs] == [-1.0, -2.0]
    found = read_prompt_logprobs(
        output(prompt_token_ids=[1, 2], prompt_logprobs=[None, {2: entry(-3.0, 7), 8: entry(-1.0, 1)}])
    )
    assert found[0] is None
    assert found[1] is not None
    assert found[1].chosen == TokenLogprob(2, -3.0, 7)
