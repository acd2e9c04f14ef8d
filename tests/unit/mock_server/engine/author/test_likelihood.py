from __future__ import annotations

import math
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.author.likelihood import Edits, Likelihood, WeighedTokens
from mock_server.engine.base import GenerationParams

VOCABULARY, FIRST_PIECE = 1_000, 262
LIKELIHOOD = Likelihood(VOCABULARY, FIRST_PIECE)
token_ids = st.integers(0, VOCABULARY - 1)


@given(token_ids, st.text(), st.booleans(), st.integers(0, 20))
def test_probabilities_are_normal_sorted_and_agree_with_the_ranks(token: int, key: str, greedy: bool, top: int) -> None:
    position = LIKELIHOOD.position(token, key, greedy=greedy)
    everything = position.logprobs(token, VOCABULARY).top
    floor = min(entry.logprob for entry in everything)
    rest = (VOCABULARY - len(everything)) * math.exp(position.logprobs(-1, 0).chosen.logprob)
    assert math.isclose(sum(math.exp(entry.logprob) for entry in everything) + rest, 1.0)
    assert floor <= 0
    assert [entry.rank for entry in everything] == list(range(1, len(everything) + 1))
    assert [entry.logprob for entry in everything] == sorted((entry.logprob for entry in everything), reverse=True)
    shown = position.logprobs(token, top)
    assert list(shown.top) == list(everything[:top])
    assert shown.chosen in everything
    assert shown.chosen.rank == 1 or not greedy
    assert position.logprobs(token, top) == LIKELIHOOD.position(token, key, greedy=greedy).logprobs(token, top)


def said(tokens: list[int], edits: Edits, *, count: int = 10) -> list[int]:
    params = GenerationParams(max_tokens=count, logprobs=1)
    return list(islice(WeighedTokens(iter(tokens), LIKELIHOOD, edits, params, "key"), count))


TOKENS = [300, 301, 302, 303, 304] * 2


def test_no_restrictions_change_nothing() -> None:
    assert said(TOKENS, Edits({}, None)) == TOKENS
    assert said(TOKENS, Edits({300: 0.0, 5: 1.0}, None)) == TOKENS


def test_biases_add_and_exclude_tokens() -> None:
    assert said(TOKENS, Edits({7: 100.0}, None)) == [7] * 10
    kept_out = said(TOKENS, Edits({301: -100.0}, None))
    assert 301 not in kept_out
    assert [a for a, b in zip(kept_out, TOKENS, strict=True) if b != 301] == [t for t in TOKENS if t != 301]


@given(st.lists(token_ids, min_size=1, max_size=5, unique=True))
def test_answers_keep_to_a_restricted_vocabulary(allowed: list[int]) -> None:
    spoken = said(TOKENS, Edits({}, tuple(allowed)))
    assert set(spoken) <= set(allowed)
    assert all(a == b for a, b in zip(spoken, TOKENS, strict=True) if b in allowed)


def test_a_forbidden_word_is_never_completed() -> None:
    spoken = said(TOKENS, Edits({}, None, bad_words=((300, 301), (304,))))
    assert 304 not in spoken
    assert (300, 301) not in pairwise(spoken)
    assert spoken[0] == 300


def test_the_only_allowed_token_is_used_even_if_forbidden() -> None:
    assert said(TOKENS, Edits({}, (9,), bad_words=((9,),)), count=2) == [9, 9]


def test_the_first_token_of_a_prompt_has_no_likelihood_and_others_depend_on_earlier_ones() -> None:
    first, *rest = LIKELIHOOD.prompt([300, 301, 302], 2)
    assert first is None
    assert [position.chosen.token_id for position in rest if position] == [301, 302]
    assert list(LIKELIHOOD.prompt([300, 301, 999], 2))[1] == rest[0]
    assert list(LIKELIHOOD.prompt([400, 301, 302], 2))[1] != rest[0]


words = st.lists(st.integers(0, 3), min_size=1, max_size=4)


@given(st.lists(words, max_size=30), st.lists(st.integers(0, 3), max_size=6))
def test_tokens_that_would_complete_a_word_are_banned(bad_words: list[list[int]], before: list[int]) -> None:
    completing = {word[-1] for word in bad_words if before[len(before) - len(word) + 1 :] == word[:-1]}
    completing |= {word[0] for word in bad_words if len(word) == 1}
    assert set(Edits({}, None, bad_words).banned(before)) == completing
