"""One schema for several functions: each refers to its own parts, wherever they are in it."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest

from mock_server.engine.base import CallForm
from mock_server.engine.call_schema import call_list_schema

TREE = {
    "type": "object",
    "properties": {"label": {"$ref": "#/definitions/label"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["label"],
    "definitions": {"label": {"enum": ["tree"]}},
}
PLACE = {
    "type": "object",
    "properties": {"at": {"$ref": "#/$defs/Point"}, "$ref": {"type": "string"}, "default": {"$ref": "#/$defs/Point"}},
    "$defs": {"Point": {"type": "integer"}},
}
OTHER_PLACE = {"type": "object", "properties": {"at": {"$ref": "#/$defs/Point"}}, "$defs": {"Point": {"type": "null"}}}
PLAIN = {"type": "object", "properties": {"kind": {"const": {"$ref": "#/not/a/reference"}}}}
FORMS = [
    CallForm(name, parameters, "")
    for name, parameters in (("tree", TREE), ("place", PLACE), ("other", OTHER_PLACE), ("plain", PLAIN))
]


def is_valid(calls: Any, most: int | None = None) -> bool:
    return jsonschema.Draft202012Validator(call_list_schema(FORMS, most)).is_valid(calls)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("tree", {"label": "tree", "children": [{"label": "tree"}]}, {"label": "tree", "children": [{"label": "x"}]}),
        ("place", {"at": 3, "$ref": "x", "default": 4}, {"at": 3, "default": None}),
        ("other", {"at": None}, {"at": 3}),
        ("plain", {"kind": {"$ref": "#/not/a/reference"}}, {"kind": 1}),
    ],
)
def test_each_function_has_its_own_parameters(name: str, good: Any, bad: Any) -> None:
    assert is_valid([{"name": name, "parameters": good}])
    assert not is_valid([{"name": name, "parameters": bad}])
    assert not is_valid([{"name": "unheard of", "parameters": good}])


def test_there_is_at_least_one_call_and_no_more_than_allowed() -> None:
    call = {"name": "other", "parameters": {"at": None}}
    assert not is_valid([])
    assert is_valid([call, call])
    assert not is_valid([call, call], most=1)


def test_only_references_through_objects_are_moved_and_nothing_changes_in_place() -> None:
    before = copy.deepcopy(FORMS)
    schema = call_list_schema(FORMS, None)
    assert before == FORMS
    assert set(schema["$defs"]) == {"tree", "place", "other"}
    assert schema["items"]["anyOf"][3]["properties"]["parameters"] == PLAIN
    assert schema["$defs"]["tree"]["properties"]["children"]["items"] == {"$ref": "#/$defs/tree"}
