"""The text of a value is counted wherever it stands, an object or array at a time."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.engine.json_length import text_lengths

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@settings(max_examples=50)
@given(VALUES)
def test_what_is_left_of_its_json_has_no_text(value: object) -> None:
    def without_text(found: object) -> object:
        if isinstance(found, dict):
            return [["", without_text(member)] for member in found.values()]
        if isinstance(found, list):
            return [without_text(item) for item in found]
        return "" if isinstance(found, str) else found

    written = json.dumps(value, ensure_ascii=False)
    assert sum(text_lengths(value)) <= len(written)
    assert sum(text_lengths(without_text(value))) == 0


def test_names_and_nested_texts_count() -> None:
    assert sum(text_lengths([{"abc": ["de", {"f": "ghij"}]}, 7, ("k",)])) == 11
    assert sum(text_lengths("abc")) == 3


def test_it_stops_between_containers() -> None:
    assert list(text_lengths([["a"], ["bc"]])) == [0, 0, 2, 1]
