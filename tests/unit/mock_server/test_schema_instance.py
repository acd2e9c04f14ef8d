from __future__ import annotations

import json
import random
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.regex_text import UnsupportedRegexError, text_matching
from mock_server.engine.schema_instance import UnsupportedSchemaError, instance

NODE = {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"},
        {"type": "null"}]}}, "required": ["value", "next"], "additionalProperties": False}  # fmt: skip
SCHEMAS: list[Any] = [
    True,
    {},
    {"type": "string"},
    {"type": "string", "minLength": 40},
    {"type": "string", "maxLength": 2},
    {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"},
    {"type": "string", "pattern": "b+", "maxLength": 30},
    {"type": "string", "format": "date-time"},
    {"type": "integer", "minimum": -3, "maximum": -1},
    {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
    {"type": "integer", "multipleOf": 7, "minimum": 15},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    {"type": "number", "maximum": -1000},
    {"type": "number", "multipleOf": 2},
    {"type": ["null", "boolean"]},
    {"type": "null"},
    {"enum": [1, "a", None]},
    {"const": {"a": [1]}},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "required": ["c"], "maxProperties": 1},
    {"properties": {"deep": {"properties": {"er": {"type": "array", "items": {"type": "boolean"}}}}}},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"properties": {"a": {"minimum": 5}, "b": {"type": "null"}}, "required": ["b"]}]},
    {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    {"type": "integer", "anyOf": [{"minimum": 90}, {"maximum": 2}], "minimum": 0},
    {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    {"type": "array", "items": {"$ref": "#/definitions/p"}, "definitions": {"p": {"type": "string"}}, "minItems": 1},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_an_instance_satisfies_its_schema(schema: Any) -> None:
    for seed in range(20):
        made = instance(schema, random.Random(seed))
        jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(made)))
        assert made == instance(schema, random.Random(seed))


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (False, "allows nothing"),
        (3, "must be an object"),
        ({"type": "nonsense"}, "'nonsense' is none of"),
        ({"type": []}, "is none of"),
        ({"not": {"type": "string"}}, "keyword 'not'"),
        ({"if": {}, "then": {}}, "keyword 'if'"),
        ({"type": "object", "patternProperties": {"^a": {}}}, "'patternProperties'"),
        ({"enum": []}, "enum must be an array that is not empty"),
        ({"anyOf": []}, "anyOf must be an array"),
        ({"anyOf": [3]}, "must be an object"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "https://example.org/x"}, "leads outside"),
        ({"$ref": "#"}, "has no end"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "has no end"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "is above maxLength"),
        ({"type": "string", "minLength": "a"}, "minLength must be an integer"),
        ({"type": "string", "pattern": "("}, "is not a regular expression"),
        ({"type": "string", "format": "nonsense"}, "format 'nonsense'"),
        ({"type": "string", "pattern": "^a$", "minLength": 2}, "no string was found"),
        ({"type": "integer", "minimum": 1, "maximum": 0}, "no number"),
        ({"type": "integer", "minimum": "1"}, "minimum must be a number"),
        ({"type": "integer", "minimum": 0.2, "maximum": 0.8}, "no integer"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "is above maxItems"),
        ({"type": "array", "items": {"const": 1}, "minItems": 2, "uniqueItems": True}, "unique"),
        ({"type": "object", "properties": []}, "properties must be an object"),
        ({"type": "object", "required": "a"}, "required must be an array"),
        ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "below what is required"),
        ({"allOf": [{"pattern": "a"}, {"pattern": "b"}]}, "two 'pattern' at once"),
    ],
)  # fmt: skip
def test_what_is_not_sure_to_be_satisfied_is_refused_by_name(schema: Any, says: str) -> None:
    with pytest.raises(UnsupportedSchemaError, match=re.escape(says)):
        instance(schema, random.Random(0))


_leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda low, gap: {"type": "integer", "minimum": low, "maximum": low + gap},
              st.integers(-99, 99), st.integers(0, 9)),
    st.builds(lambda low, gap: {"type": "number", "exclusiveMinimum": low, "maximum": low + gap},
              st.floats(-99, 99), st.floats(0.01, 9)),
    st.builds(lambda low, gap: {"type": "string", "minLength": low, "maxLength": low + gap},
              st.integers(0, 30), st.integers(0, 9)),
    st.builds(lambda values: {"enum": values}, st.lists(st.none() | st.booleans() | st.text(), min_size=1)),
)  # fmt: skip
_schemas = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(lambda item, count: {"type": "array", "items": item, "minItems": count}, inner, st.integers(0, 3)),
        st.builds(
            lambda properties, closed: {
                "type": "object",
                "properties": properties,
                "required": list(properties)[::2],
                "additionalProperties": not closed,
            },
            st.dictionaries(st.text(), inner, max_size=3),
            st.booleans(),
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


@given(_schemas, st.integers(0, 2**32))
def test_any_schema_of_these_forms_has_an_instance(schema: dict[str, Any], seed: int) -> None:
    jsonschema.Draft202012Validator(schema).validate(instance(schema, random.Random(seed)))


@pytest.mark.parametrize(
    "pattern",
    ["a", "", "[0-9]{3}-[0-9]{2}", "(yes|no)+", "\\w+@\\w+\\.com", "(?P<x>ab)\\1?", "[^a-z]{4}", "é?.*", "^ab$"],
)
def test_a_text_matches_its_expression_from_end_to_end(pattern: str) -> None:
    for seed in range(20):
        assert re.fullmatch(pattern, text_matching(pattern, random.Random(seed)))


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "a{2,1}", "(?=b)a", "\\d{9000}", 3])
def test_an_expression_without_a_text_is_refused(pattern: Any) -> None:
    with pytest.raises(UnsupportedRegexError):
        text_matching(pattern, random.Random(0))
