"""The forms in which options may be written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.option_sections import repeat_options

ANY = {"--x": None, "--x-z": None}


@pytest.mark.parametrize(
    ("words", "expanded"),
    [
        (["--x", "a", "b", "--y", "c"], ["--x", "a", "--x", "b", "--y", "c"]),
        (["--x", "a", "--x", "b"], ["--x", "a", "--x", "b"]),
        (["--x=a", "b"], ["--x=a", "--x", "b"]),
        (["--x", "-1", "b"], ["--x", "-1", "--x", "b"]),
        (["--y", "a", "b"], ["--y", "a", "b"]),
        (["--x"], ["--x"]),
        (["--x_z", "a", "b"], ["--x_z", "a", "--x-z", "b"]),
        ([], []),
    ],
)
def test_several_values_repeat_the_option(words: list[str], expanded: list[str]) -> None:
    assert repeat_options(words, ANY) == expanded


def test_a_further_value_contains_one_of_the_characters() -> None:
    words = ["--goodput", "ttft:200", "tpot:50", "RUN", "e2e:9"]
    assert repeat_options(words, {"--goodput": ":"}) == [*words[:2], "--goodput", *words[2:]]


@given(st.lists(st.sampled_from(["--x", "--y", "--x=1", "-v", "a", "b"])))
def test_repeating_an_option_adds_nothing_else(words: list[str]) -> None:
    expanded = repeat_options(words, ANY)
    kept = iter(expanded)
    assert all(word in kept for word in words)  # in order
    assert len(expanded) - len(words) == expanded.count("--x") - words.count("--x")
