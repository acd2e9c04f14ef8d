"""The text of a value is counted wherever it is, one object or array at a time."""

from __future__ import annotations

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.engine.json_length import text_length, text_lengths

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@settings(max_examples=50)
@given(VALUES)
def test_it_is_at_most_the_length_of_the_json(value: object) -> None:
    assert asyncio.run(text_length(value)) <= len(json.dumps(value, ensure_ascii=False))


def test_names_and_nested_texts_count() -> None:
    assert asyncio.run(text_length([{"abc": ["de", {"f": "ghij"}]}, 7, ("k",)])) == 11 + 9
    assert asyncio.run(text_length("abc")) == 4


def test_it_stops_between_containers() -> None:
    assert list(text_lengths([["a"], ["bc"]])) == [1, 2, 3, 2]
