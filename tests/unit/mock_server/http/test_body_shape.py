"""Values are counted as JSON defines them, whatever the strings contain and wherever the windows end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.http.body_shape import (
    MAX_CONTAINERS,
    MAX_ESCAPES,
    MAX_MEMBERS,
    MAX_VALUES,
    WINDOW,
    ShapeLimits,
    TooManyValuesError,
    check_shape,
)

LIMITS = ShapeLimits()


def problem(body: bytes, limits: ShapeLimits = LIMITS, window: int = WINDOW) -> str | None:
    try:
        for _ in check_shape(body, limits, window=window):
            pass
    except TooManyValuesError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[" + b"{}," * MAX_CONTAINERS + b"1]", "objects and arrays"),
        (b"[" + b"[]," * MAX_CONTAINERS + b"1]", "objects and arrays"),
        (b"[" * MAX_CONTAINERS * 10, "objects and arrays"),
        (b"[" + b"1," * MAX_VALUES + b"1]", "values"),
        (b'{"a":[' + b'"",' * MAX_VALUES + b'""]}', "values"),
        (b'{"a":"' + b'\\"' * 70_000 + b'","b":[' + b"1," * MAX_VALUES + b"1]}", "values"),
        (b"{" + b'"":1,' * MAX_MEMBERS + b'"":1}', "members of objects"),
        (b'{"a":"' + b"\\n" * 2 * MAX_ESCAPES + b'"}', None),
        (b'{"a":"' + b"\\n" * 2 * MAX_ESCAPES + b'\\n"}', "escaped characters"),
        (b'{"a":"' + b": " * MAX_MEMBERS + b'"}', None),
        (b"[" + b"1," * (MAX_VALUES - 2) + b"1]", None),
        (b"[" + b"{}," * (MAX_CONTAINERS - 1) + b"1]", None),
        (b'["' + b"{[," * 1_000_000 + b'"]', None),
        (b'["' + b'\\"[{,\\\\' * 300_000 + b'"]', None),
        (b'[" ' + b"{," * 1_000_000, None),
        (b"\\" * 100_000 + b"{" * 30_000, "objects and arrays"),
        (b"", None),
    ],
    ids=range(17),
)
def test_the_error_names_the_limit_on_values(body: bytes, says: str | None) -> None:
    found = problem(body)
    assert found is None if says is None else found is not None and says in found


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('"\\{[,é', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('"\\{[,', max_size=4), inner, max_size=3),
    max_leaves=20,
)


def count(value: Any) -> tuple[int, int, int]:
    """Containers; members of objects; containers and commas."""
    if not isinstance(value, (list, dict)):
        return 0, 0, 0
    inner = [count(item) for item in (value if isinstance(value, list) else value.values())]
    containers, members, values = (sum(found[place] for found in inner) for place in range(3))
    return (
        containers + 1,
        members + (len(value) if isinstance(value, dict) else 0),
        values + 1 + max(0, len(value) - 1),
    )


@given(_json, st.integers(1, 12), st.booleans())
def test_characters_inside_strings_do_not_count(value: Any, window: int, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    found = dict(zip(("containers", "members", "values"), count(value), strict=True))
    loose = ShapeLimits(containers=len(body) // 2, members=len(body), values=len(body), escapes=len(body))
    for name, counted in found.items():
        assert problem(body, replace(loose, **{name: counted}), window) is None
        if counted:
            assert problem(body, replace(loose, **{name: counted - 1}), window) is not None
