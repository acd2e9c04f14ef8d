from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.transformers.sampling import (
    BadLogitsError,
    Sampler,
    Sampling,
    distribution,
    drawn,
    position_logprobs,
)

LOGITS = np.array([2.0, 1.0, 0.0, -1.0, -2.0], dtype=np.float32)
GREEDY: dict[str, Any] = {"temperature": 0.0}


def sampler(*said: int, prompt: Sequence[int] = (), seed: str = "1", **fields: Any) -> Sampler:
    made = Sampler(Sampling(**fields), prompt, seed)
    for token_id in said:
        made.note(token_id)
    return made


def chosen(*said: int, logits: np.ndarray = LOGITS, prompt: Sequence[int] = (), **fields: Any) -> int:
    return sampler(*said, prompt=prompt, **{**GREEDY, **fields}).choose(logits)[0]


def candidates(logits: np.ndarray = LOGITS, **fields: Any) -> set[int]:
    return set(distribution(logits, Sampling(**fields))[0].tolist())


def test_the_likeliest_token_is_chosen() -> None:
    assert chosen() == 0
    assert Sampling(temperature=0.0).is_plain


@pytest.mark.parametrize(
    ("fields", "said", "expected"),
    [
        ({"allowed_token_ids": (3, 2)}, (), 2),
        ({"logit_bias": {4: 5.0}}, (), 4),
        ({"logit_bias": {4: 5.0}, "allowed_token_ids": (1, 3)}, (), 1),
        ({"bad_words": ((0,),)}, (), 1),
        ({"bad_words": ((3, 0),)}, (3,), 1),
        ({"bad_words": ((3, 0),)}, (2,), 0),
        ({"bad_words": ((3, 0),)}, (), 0),
        ({"bad_words": ((4, 3, 0),)}, (4, 3), 1),
        ({"stop_ids": frozenset({0}), "min_tokens": 2}, (4,), 1),
        ({"stop_ids": frozenset({0}), "min_tokens": 2}, (4, 4), 0),
        ({"presence_penalty": 1.5}, (0, 0), 1),
        ({"frequency_penalty": 0.6}, (0,), 0),
        ({"frequency_penalty": 0.6}, (0, 0), 1),
        ({"repetition_penalty": 3.0}, (0,), 1),
    ],
)
def test_what_changes_the_likeliest_token(fields: dict[str, Any], said: tuple[int, ...], expected: int) -> None:
    assert chosen(*said, **fields) == expected
    assert not Sampling(**GREEDY, **fields).is_plain


def test_only_the_repetition_penalty_counts_the_prompt() -> None:
    assert chosen(prompt=[0], repetition_penalty=3.0) == 1
    assert chosen(prompt=[0], presence_penalty=1.5, frequency_penalty=1.5) == 0


def test_a_repeated_token_with_a_negative_logit_becomes_less_likely_too() -> None:
    logits = np.array([-1.0, -1.5], dtype=np.float32)
    assert chosen(0, logits=logits, repetition_penalty=2.0) == 1


def test_the_given_logits_stay_unchanged() -> None:
    before = LOGITS.copy()
    sampler(0, logit_bias={0: 1.0}, repetition_penalty=2.0, bad_words=((1,),)).choose(LOGITS)
    assert (before == LOGITS).all()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {0, 1, 2, 3, 4}),
        ({"top_k": 2}, {0, 1}),
        ({"top_k": -1}, {0, 1, 2, 3, 4}),
        ({"top_k": 9}, {0, 1, 2, 3, 4}),
        ({"top_p": 0.6}, {0}),
        ({"top_p": 0.7}, {0, 1}),
        ({"top_p": 1e-9}, {0}),
        ({"min_p": 0.3}, {0, 1}),
        ({"min_p": 1.0}, {0}),
        ({"top_k": 2, "top_p": 0.7}, {0}),  # of the two, the first has 73 %
        ({"temperature": 2.0, "top_p": 0.6}, {0, 1}),
        ({"min_p": 0.01, "top_k": 4, "top_p": 0.99}, {0, 1, 2, 3}),
    ],
)
def test_the_tokens_that_can_be_drawn(fields: dict[str, Any], expected: set[int]) -> None:
    assert candidates(**fields) == expected


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.999), st.floats(0.2, 2.0), st.integers(2, 5_000))
def test_the_nucleus_is_the_smallest_that_has_its_share(seed: int, top_p: float, temperature: float, size: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 4, size).astype(np.float32)
    found, shares = distribution(logits, Sampling(temperature=temperature, top_p=top_p))
    scores = (logits / np.float32(temperature)).astype(np.float64)
    probabilities = np.exp(scores - scores.max())
    probabilities /= probabilities.sum()
    inside = probabilities[found]
    assert inside.sum() >= top_p - 1e-5
    assert inside.sum() - inside.min() < top_p + 1e-5
    outside = np.delete(probabilities, found)
    assert not len(outside) or outside.max() <= inside.min() + 1e-6
    assert len(shares) == len(found)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50).filter(any), st.floats(0, 1, exclude_max=True))
def test_a_place_without_a_share_is_never_drawn(shares: list[float], at: float) -> None:
    assert shares[drawn(np.array(shares), at)] > 0


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    source = sampler(temperature=1.0)
    counts = Counter(source.choose(LOGITS)[0] for _ in range(4_000))
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum()
    assert all(abs(counts[token_id] / 4_000 - share) < 0.03 for token_id, share in enumerate(shares))


def test_a_seed_draws_the_same_tokens_again_and_another_seed_others() -> None:
    one, again, other = (
        [made.choose(LOGITS)[0] for _ in range(50)] for made in (sampler(), sampler(), sampler(seed="2"))
    )
    assert one == again != other


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=40), st.data())
def test_log_probabilities_and_ranks(values: list[float], data: st.DataObject) -> None:
    logits = np.array(values, dtype=np.float32)
    token_id = data.draw(st.integers(0, len(values) - 1))
    top = data.draw(st.integers(1, 50))
    found = position_logprobs(logits, token_id, top)
    total = math.log(sum(math.exp(value) for value in values))
    assert found.chosen.logprob == pytest.approx(values[token_id] - total, abs=1e-3)
    assert found.chosen.rank == 1 + sum(value > values[token_id] for value in values)
    assert len(found.top) == min(top, len(values))
    assert [entry.logprob for entry in found.top] == sorted((entry.logprob for entry in found.top), reverse=True)
    assert found.top[0].logprob == pytest.approx(max(values) - total, abs=1e-3)


def test_log_probabilities_are_those_before_the_requests_restrictions() -> None:
    token_id, logprobs = sampler(allowed_token_ids=(4,), logprobs=1, **GREEDY).choose(LOGITS)
    assert token_id == 4
    assert logprobs is not None
    assert (logprobs.chosen.token_id, logprobs.chosen.rank, logprobs.top[0].token_id) == (4, 5, 0)


def test_what_leaves_nothing_to_choose_is_an_error() -> None:
    with pytest.raises(BadLogitsError, match="not a number"):
        sampler(**GREEDY).choose(np.array([1.0, math.nan], dtype=np.float32))
    with pytest.raises(BadLogitsError, match="leave no token"):
        sampler(allowed_token_ids=(1,), bad_words=((1,),)).choose(LOGITS)
