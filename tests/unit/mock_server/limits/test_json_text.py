"""Counting the values of a JSON text gives the same result as parsing it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.limits.json_text import most_values, nesting, num_values

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('"\\{}[],:é', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\{[,:', max_size=4), inner, max_size=3),
    max_leaves=20,
)


def measure(value: Any) -> tuple[int, int]:
    """Values (containers, commas and colons), and depth."""
    if not isinstance(value, (list, dict)):
        return 0, 0
    inner = [measure(item) for item in (value if isinstance(value, list) else value.values())]
    colons = len(value) if isinstance(value, dict) else 0
    values = 1 + max(0, len(value) - 1) + colons + sum(count for count, _ in inner)
    return values, 1 + max((depth for _, depth in inner), default=0)


@given(_json, st.booleans(), st.integers(0, 60))
def test_marks_inside_strings_do_not_count(value: Any, ascii_only: bool, limit: int) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    values, depth = measure(value)
    assert num_values(text) == values
    assert most_values(text) >= values
    assert nesting(text, 0) == depth
    assert (nesting(text, limit) > limit) == (depth > limit)


@given(st.text('"\\{}[],:a'), st.integers(0, 9))
def test_anything_can_be_measured(text: str, limit: int) -> None:
    assert 0 <= num_values(text) <= most_values(text) <= len(text)
    assert 0 <= nesting(text, limit) <= len(text)


@pytest.mark.parametrize(
    ("text", "depth"),
    [("[" * 300, 300), ("[]" * 300, 1), ("]" * 300 + "[" * 300, 0), ('"' + "[" * 300 + '"', 0), ('{"\\""' * 9, 9)],
)
def test_depths(text: str, depth: int) -> None:
    assert nesting(text, 0) == depth
