"""The size of patterns with their counted repetitions written out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.limits.pattern_size import pattern_size

LIMIT = 100_000


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        (r"\d\{", 2),
        ("[a-z{}()]x", 2),
        ("[]a]{3}", 5),
        (r"[\]]{2}", 2),
        ("a{5}", 5),
        ("ab{2,5}", 6),
        ("a{,4}", 4),
        ("a{3,}", 3),
        ("a{0}", 1),
        ("(ab){3}c", 7),
        ("(a{10}){10}", 100),
        ("(a|b{2}){10}", 40),
        ("a{x}", 4),
        ("(a{4}", 4),
        ("a{4})", 5),
        ("[abc", 1),
    ],
)
def test_sizes(pattern: str, size: int) -> None:
    assert pattern_size(pattern, LIMIT) == size


@pytest.mark.parametrize(
    "pattern", ["((((a{99}){99}){99}){99}){99}", "a{1000000}", "a{%s}" % ("9" * 5_000), "a" * 100_001]
)
def test_a_size_above_the_limit_is_the_limit_plus_one(pattern: str) -> None:
    assert pattern_size(pattern, LIMIT) == LIMIT + 1


@given(st.recursive(st.sampled_from(["a", "bc", "[xy]", r"\w"]), lambda inner: st.one_of(
    st.tuples(inner, st.integers(1, 30)).map(lambda made: f"(?:{made[0]}){{{made[1]}}}"),
    st.tuples(inner, inner).map("".join),
), max_leaves=6))  # fmt: skip
def test_a_pattern_is_at_least_as_large_as_the_text_it_matches(pattern: str) -> None:
    re.compile(pattern)
    shortest = pattern.replace("[xy]", "x").replace(r"\w", "w")
    while (found := re.search(r"\(\?:([a-z]*)\)\{(\d+)\}", shortest)) is not None and len(shortest) < LIMIT:
        shortest = shortest[: found.start()] + found[1] * int(found[2]) + shortest[found.end() :]
    if found is None:
        assert pattern_size(pattern, LIMIT) >= min(len(shortest), LIMIT + 1)


@given(st.text(alphabet="ab\\[](){}0129,|*+?^$"))
def test_anything_can_be_measured(pattern: str) -> None:
    assert 0 <= pattern_size(pattern, LIMIT) <= LIMIT + 1
