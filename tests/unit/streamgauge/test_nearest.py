"""Hints for names that are not known."""

from __future__ import annotations

import pytest

from streamgauge.nearest import did_you_mean, nearest

NAMES = ("vllm", "sim", "scripted", "x" * 500)


@pytest.mark.parametrize(
    ("name", "expected"), [("vlm", "vllm"), ("script", "scripted"), ("sim", "sim"), ("transformers", None), ("", None)]
)
def test_the_most_similar_name_is_suggested_if_any_is_similar(name: str, expected: str | None) -> None:
    assert nearest(name, NAMES) == expected
    assert did_you_mean(name, NAMES) == ("" if expected is None else f" Did you mean {expected}?")


def test_very_long_names_are_not_compared() -> None:
    assert nearest("x" * 499, NAMES) is None
    assert nearest("x" * 60, NAMES) is None
