"""Hostile bodies for schemathesis, which runs in an environment of its own: loaded by SCHEMATHESIS_HOOKS."""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.support.hostile_json import Literal, places, replaced
from tests.support.hostile_values import values


def _can_be_sent(value: Any) -> bool:
    """By `requests`, which writes the JSON itself: literal JSON is for the tests that write it themselves."""
    if isinstance(value, dict):
        return all(map(_can_be_sent, value.values()))
    if isinstance(value, list):
        return all(map(_can_be_sent, value))
    if isinstance(value, Literal):
        return False
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


_hostile = values.filter(_can_be_sent)


@schemathesis.hook
def flatmap_body(context: Any, body: Any) -> st.SearchStrategy[Any]:
    """Often the body as it is, else with a hostile value somewhere."""
    if not isinstance(body, dict) or not (found := list(places(body))):
        return st.just(body)
    changed = st.builds(lambda path, value: replaced(body, path, value), st.sampled_from(found), _hostile)
    return st.just(body) | changed
