"""Every instance satisfies its schema, and every value that a schema allows is drawn sooner or later."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema.validators import validator_for

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.instances import InstanceDrawer
from mock_server.engine.author.drawing.problems import UndrawableError
from tests.unit.mock_server.engine.author.drawing.schema_strategies import documents
from tests.unit.mock_server.engine.author.drawing.tool_schemas import TOOLS


def instance(schema: Any, seed: int = 0) -> Any:
    return InstanceDrawer(schema, Budget()).draw(random.Random(seed))


def instances(schema: Any, seeds: int = 60) -> list[Any]:
    return [instance(schema, seed) for seed in range(seeds)]


def validate(value: Any, schema: Any) -> None:
    """Checks an instance as a client gets it, by the draft that the schema names, else the newest."""
    validator = validator_for(schema, default=jsonschema.Draft202012Validator)
    validator(schema).validate(json.loads(json.dumps(value, allow_nan=False)))


def seen(values: Iterable[Any]) -> set[str]:
    return {json.dumps(value, sort_keys=True) for value in values}


@given(documents(), st.integers(0, 1000))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_drawn_instance_satisfies_its_schema(schema: Any, seed: int) -> None:
    try:
        drawn = instance(schema, seed)
    except UndrawableError:
        return
    validate(drawn, schema)
    assert drawn == instance(schema, seed)


@pytest.mark.parametrize("name", TOOLS)
def test_parameters_of_real_tools_are_drawn_and_differ(name: str) -> None:
    drawn = instances(TOOLS[name])
    for value in drawn:
        validate(value, TOOLS[name])
    assert len(seen(drawn)) > (
        1 if TOOLS[name].get("properties") or "allOf" in TOOLS[name] or len(TOOLS[name]) > 2 else 0
    )


NODE = {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"},
        {"type": "null"}]}}, "required": ["value", "next"], "additionalProperties": False}  # fmt: skip
SCHEMAS: list[Any] = [
    True,
    {},
    {"type": "string", "minLength": 40},
    {"type": "string", "maxLength": 2},
    {"type": "string", "pattern": "b+", "maxLength": 30},
    {"type": "string", "pattern": "^[0-9a-f]{128}$"},
    {"type": "string", "pattern": "^[0-9a-f]+$", "minLength": 64, "maxLength": 64},
    {"type": "string", "format": "nonsense"},
    {"type": "string", "pattern": r"\d", "minLength": 30},
    {"allOf": [{"type": "string", "pattern": "a"}, {"pattern": "b"}]},
    {"type": "integer", "minimum": -3, "maximum": -1},
    {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
    {"type": "integer", "minimum": 4, "exclusiveMinimum": 4, "maximum": 6, "exclusiveMaximum": 6},
    {"type": "integer", "allOf": [{"exclusiveMinimum": 4}, {"minimum": 4}, {"exclusiveMaximum": 6}, {"maximum": 6}]},
    {"type": "integer", "minimum": 0, "maximum": 9, "not": {"maximum": 4}},
    {"type": "number", "minimum": 0, "maximum": 4, "not": {"exclusiveMaximum": 2}},
    {"type": "number", "minimum": 0, "maximum": 1, "not": {"multipleOf": 0.5}},
    {"type": "integer", "multipleOf": 7, "minimum": 15},
    {"type": "integer", "minimum": 10**40},
    {"type": "integer", "allOf": [{"multipleOf": 7}, {"multipleOf": 11}, {"multipleOf": 13}], "minimum": 1},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    {"type": "number", "minimum": 0.1, "maximum": 0.1},
    {"type": "number", "maximum": -1e300},
    {"type": "number", "multipleOf": 0.01, "minimum": 0.07, "maximum": 0.3},
    {"type": "number", "multipleOf": 1e-8},
    {"type": ["null", "boolean"]},
    {"enum": [1, "a", None]},
    {"enum": ["a", 1, None, 2.5], "type": ["number", "null"]},
    {"enum": [True, 1, 0, False], "type": "integer"},
    {"const": None},
    {"const": {"a": [1]}},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "uniqueItems": True},
    {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 40}, "minItems": 40, "uniqueItems": True},
    {"type": "array", "items": {"anyOf": [{"const": 1}, {"const": "1"}]}, "minItems": 2, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    {"type": "array", "contains": {"const": "x"}, "minContains": 2, "maxContains": 2, "minItems": 4},
    {"type": "array", "prefixItems": [{"const": 1}], "unevaluatedItems": False},
    {"type": "array", "contains": {"const": 1}, "minContains": 2, "minItems": 2, "unevaluatedItems": False},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {name: {"type": "null"} for name in "abcdef"}, "minProperties": 5,
     "additionalProperties": False},
    {"type": "object", "minProperties": 3, "patternProperties": {"^x-[a-z]+$": {}}, "additionalProperties": False},
    {"type": "object", "minProperties": 2, "propertyNames": {"enum": ["red", "green"]}},
    {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "required": ["c"], "maxProperties": 1},
    {"type": "object", "properties": {"a": False, "b": {"type": "null"}}},
    {"type": "object", "dependencies": {"a": ["b"], "b": {"required": ["c"]}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {}, "b": {}}, "not": {"dependentRequired": {"a": ["b"]}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"],
     "not": {"dependentSchemas": {"a": {"properties": {"a": {"const": 1}}}}}},
    {"type": "object", "dependentSchemas": {name: {"required": ["a", "b"]} for name in "ab"}, "required": ["a"]},
    {"properties": {"deep": {"properties": {"er": {"type": "array", "items": {"type": "boolean"}}}}}},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"properties": {"a": {"minimum": 5}, "b": {"type": "null"}}, "required": ["b"]}]},
    {"allOf": [{"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}], "required": ["z"]},
    {"oneOf": [{"type": "number"}, {"type": "integer"}]},
    {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": {}, "b": {}}},
    {"type": "integer", "anyOf": [{"minimum": 90}, {"maximum": 2}], "minimum": 0},
    {"not": {"type": "string"}},
    {"type": ["string", "integer"], "not": {"type": "string"}},
    {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "not": {"properties": {"kind": {"const": "a"}}}},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "if": {"required": ["a"]}, "then": {"required": ["b"]},
     "else": {"required": ["c"]}},
    {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "unevaluatedProperties": False,
     "if": {"properties": {"a": {"const": 1}}}, "then": {"properties": {"b": {"type": "null"}}, "required": ["b"]},
     "else": {"properties": {"c": {"type": "null"}}, "required": ["c"]}},
    {"allOf": [{"additionalProperties": {"type": "integer"}}], "type": "object", "minProperties": 2,
     "unevaluatedProperties": False},
    {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    {"$dynamicRef": "#node", "$defs": {"n": {"$dynamicAnchor": "node", "type": "null"}}},
    {"$schema": "https://json-schema.org/draft/2019-09/schema", "type": "object", "required": ["value"], "properties":
     {"value": {"type": "integer"}, "next": {"$recursiveRef": "#"}}, "additionalProperties": False},
    {"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": {"$ref": "#anchor"}, "minItems": 1,
     "definitions": {"p": {"$id": "#anchor", "type": "null"}}},
    {"type": "array", "items": {"$ref": "#/definitions/p"}, "definitions": {"p": {"type": "string"}}, "minItems": 1},
    {"type": "object", "properties": {"$ref": {"type": "string"}, "const": {"$ref": "#/properties/$ref"}}},
    {"type": "string", "deprecated": True, "errorMessage": "no", "ui:widget": "textarea", "nullable": True},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_an_instance_satisfies_its_schema(schema: Any) -> None:
    for value in instances(schema, 20):
        validate(value, schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "number", "minimum": 4, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": True},
        {"type": "integer", "minimum": 4, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": False},
    ],
)
def test_bounds_of_draft_4_are_exclusive_by_true(schema: dict[str, Any]) -> None:
    for value in instances(schema, 20):
        jsonschema.Draft4Validator(schema).validate(value)


class TestReach:
    """Every branch that can end within the depth."""

    def test_an_optional_object_is_present_sometimes_and_null_sometimes(self) -> None:
        schema = TOOLS["pydantic Place"]
        drawn = [value.get("coordinates", "left out") for value in instances(schema)]
        assert {type(each) for each in drawn} == {dict, type(None), str}

    def test_each_branch_is_drawn_whether_it_is_a_reference_or_not(self) -> None:
        schema = {
            "anyOf": [{"$ref": "#/$defs/a"}, {"const": "b"}, {"$ref": "#/anyOf/3"}, {"enum": ["c"]}, {"type": "null"}],
            "$defs": {"a": {"const": "a"}},
        }
        assert seen(instances(schema)) == {'"a"', '"b"', '"c"', "null"}

    def test_a_recursive_list_is_empty_sometimes_and_longer_sometimes(self) -> None:
        schema = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
                  "required": ["children"]}  # fmt: skip
        lengths = {len(value["children"]) for value in instances(schema)}
        assert {0, 1, 2} <= lengths

    def test_a_recursion_goes_deeper_than_required(self) -> None:
        schema = {"$ref": "#/$defs/node", "$defs": {"node": NODE}}
        depths = {json.dumps(value).count("next") for value in instances(schema)}
        assert {1, 2, 3} <= depths

    def test_a_recursion_through_required_properties_ends_where_it_can(self) -> None:
        schema = TOOLS["pydantic Expression"]
        assert any(isinstance(value["left"], float) for value in instances(schema))
        assert any(isinstance(value["left"], dict) for value in instances(schema))

    def test_every_type_of_a_list_is_drawn(self) -> None:
        schema = {"type": ["string", "integer", "boolean", "null", "array", "object"]}
        assert {type(value) for value in instances(schema, 100)} == {str, int, bool, type(None), list, dict}

    def test_a_dictionary_has_entries_sometimes(self) -> None:
        schema = {"type": "object", "additionalProperties": {"type": "integer"}}
        assert {0, 1, 2} <= {len(value) for value in instances(schema)}

    def test_a_branch_that_just_fits_the_depth_limit_is_found(self) -> None:
        schema: dict[str, Any] = {"const": "bottom"}
        for _ in range(35):
            schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
        assert json.dumps(instance(schema)).count("a") == 35

    @pytest.mark.parametrize(
        "around",
        [
            lambda inner: {"contains": inner},
            lambda inner: {"prefixItems": [inner], "minItems": 1},
            lambda inner: {"type": "array", "unevaluatedItems": inner, "minItems": 1},
            lambda inner: {"type": "object", "unevaluatedProperties": inner, "required": ["a"]},
            lambda inner: {"properties": {"a": inner}, "required": ["a"]},
        ],
    )
    def test_a_deep_schema_is_drawn_whatever_nests_it(self, around: Callable[[Any], Any]) -> None:
        schema: Any = {"type": "string"}
        for _ in range(20):
            schema = around(schema)
        validate(instance(schema), schema)

    def test_unevaluated_items_do_not_matter_where_all_items_are_evaluated(self) -> None:
        schema = {"type": "array", "minItems": 1, "allOf": [{"items": {"type": "string"}}],
                  "unevaluatedItems": {"$ref": "#"}}  # fmt: skip
        validate(instance(schema), schema)

    def test_a_schema_without_a_type_may_require_itself(self) -> None:
        schema = {"properties": {"a": {"$ref": "#"}}, "required": ["a"]}
        validate(instance(schema), schema)

    def test_recursion_stops_once_the_instance_is_large(self) -> None:
        lists = {name: {"type": "array", "items": {"$ref": "#"}} for name in "abcdefgh"}
        schema = {"type": "object", "properties": lists, "required": list(lists)}
        assert max(len(json.dumps(value)) for value in instances(schema)) < 20_000


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (False, "allows no value"),
        (3, "must be an object"),
        ({"type": "nonsense"}, "type must be one or more of string, number"),
        ({"type": []}, "type must be one or more of"),
        ({"not": {}}, "no value was found that satisfies all of not"),
        ({"type": "string", "not": {"type": "string"}}, "satisfies all of not, type"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "have no type in common"),
        ({"enum": []}, "enum must be a non-empty array"),
        ({"enum": ["a"], "type": "integer"}, "no value of enum or const"),
        ({"anyOf": []}, "anyOf must be a non-empty array"),
        ({"anyOf": [3]}, "must be an object"),
        ({"$ref": 3}, "a reference must be a string"),
        ({"$ref": "#/$defs/none"}, "cannot be resolved"),
        ({"$ref": "#/anyOf/7", "anyOf": [{}]}, "cannot be resolved"),
        ({"$ref": "#nowhere"}, "there is no such anchor"),
        ({"$ref": "https://example.org/x"}, "is outside the schema"),
        ({"$id": "https://a.example/", "$ref": "http://["}, "'http://[' is not a valid URI reference"),
        ({"$ref": "#"}, "has no finite instance"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "has no finite instance"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "is above maxLength"),
        ({"type": "string", "minLength": "a"}, "minLength must be an integer"),
        ({"type": "string", "pattern": "("}, "is not a valid regular expression"),
        ({"type": "string", "pattern": 3}, "a pattern must be a string"),
        ({"type": "string", "pattern": "^a$", "minLength": 2}, "has at least 2 characters"),
        ({"type": "string", "format": "uuid", "maxLength": 5}, "found no text of the format 'uuid'"),
        ({"type": "integer", "minimum": 1, "maximum": 0}, "no integer was found that is at least 1, at most 0"),
        ({"type": "integer", "minimum": "1"}, "minimum must be a number"),
        ({"type": "integer", "minimum": 0.2, "maximum": 0.8}, "no integer was found"),
        ({"type": "number", "multipleOf": 0}, "multipleOf must be a number above 0"),
        ({"type": "number", "minimum": float("inf")}, "minimum must be a number"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "is above maxItems"),
        ({"type": "array", "items": {"const": 1}, "minItems": 2, "uniqueItems": True}, "only 1 different"),
        ({"type": "object", "properties": []}, "properties must be an object"),
        ({"type": "object", "required": "a"}, "required must be an array of strings"),
        ({"type": "object", "required": ["a", "b"], "maxProperties": 1}, "below the number of required"),
        ({"propertyNames": {"enum": ["a"]}, "minProperties": 2, "type": "object"}, "not enough names were found"),
        ({"type": "object", "properties": {"a": {"type": "string", "minLength": 2, "maxLength": 1}},
          "additionalProperties": False, "minProperties": 1}, "no object was found with minProperties 1"),
        ({"type": "object", "patternProperties": {"(": {}}, "minProperties": 1}, "is not a valid regular expression"),
    ],
)  # fmt: skip
def test_the_error_says_why_a_schema_cannot_be_satisfied(schema: Any, says: str) -> None:
    with pytest.raises(UndrawableError, match=re.escape(says)):
        instance(schema)


def test_an_error_about_a_number_of_thousands_of_digits_is_short() -> None:
    """Python itself refuses to print such a number."""
    with pytest.raises(UndrawableError, match="a very large number"):
        instance({"type": "integer", "minimum": 10**5000, "maximum": 0})


def test_the_error_names_the_place_in_the_instance() -> None:
    bad = {"type": "string", "minLength": 2, "maxLength": 1}
    schema = {"properties": {"people": {"type": "array", "minItems": 1, "items": {"properties": {"name": bad},
              "required": ["name"]}}}, "required": ["people"]}  # fmt: skip
    with pytest.raises(UndrawableError) as caught:
        instance(schema)
    assert caught.value.where == "people.0.name"


def test_a_keyword_with_null_is_ignored() -> None:
    drawn = instances({"enum": None, "type": "string", "pattern": None, "maxLength": None, "anyOf": None}, 5)
    assert all(isinstance(value, str) for value in drawn)


def test_an_optional_property_that_cannot_be_drawn_is_left_out() -> None:
    schema = {"properties": {"good": {"type": "integer"}, "bad": {"$ref": "https://example.org/other.json"},
              "wrong": {"type": "string", "minLength": 2, "maxLength": 1}}}  # fmt: skip
    assert all(value.keys() <= {"good"} for value in instances(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"type": ["object", "array"]}},
        {"type": "object", "required": ["a"], "properties": {"a": {"not": {"type": ["string", "integer", "boolean"]}}}},
        {"type": "string", "not": {"pattern": "[a-z]"}, "minLength": 1},
        {"type": "string", "not": {"pattern": "[A-Za-z0-9 ]"}, "minLength": 5},
    ],
)
def test_values_that_not_allows_are_drawn(schema: Any) -> None:
    for value in instances(schema, 20):
        validate(value, schema)


def test_names_that_a_pattern_leaves_open_can_be_many() -> None:
    schema = {
        "type": "object",
        "patternProperties": {"^S_": {"type": "string"}, "^I_[0-9]$": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 12,
    }
    for value in instances(schema, 10):
        validate(value, schema)


def test_a_pattern_with_a_back_reference_is_drawn() -> None:
    schema = {"type": "string", "pattern": r"^([0-9]{4})-\1$"}
    assert all(value[:4] == value[5:] for value in instances(schema, 10))


def test_a_value_of_a_large_enumeration_is_drawn() -> None:
    names = [f"name {number}" for number in range(100_000)]
    assert len(set(instances({"enum": names}, 3))) > 1


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "null"), (True, "true"), ([1], "an array"), ({"a": 1}, "an object")]
)
def test_a_refusal_shows_values_as_json_has_them(value: Any, shown: str) -> None:
    with pytest.raises(UndrawableError, match=re.escape(f"(got {shown})")):
        instance({"type": "string", "minLength": value} if value is not None else {"$ref": value})
