"""Schemas in the forms that people and libraries write: satisfied, or refused with an error that names the field."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import pytest

from tests.contract.server.conftest import Facts
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, chat, complete, refused

ADDRESS = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "where": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}]},
    },
    "required": ["city", "where"],
    "additionalProperties": False,
    "$defs": {"Point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}},
}
SEARCH = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
IMPOSSIBLE = {
    "type": "object",
    "properties": {"day": {"type": "string", "minLength": 3, "maxLength": 2}},
    "required": ["day"],
}
HUGE = {"type": "object", "properties": {"text": {"type": "string", "minLength": 10**9}}, "required": ["text"]}
JSON_OBJECT = {"response_format": {"type": "json_object"}, "max_tokens": 500}
SEEDS = range(20)


def tool(name: str, parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def calls(http: httpx.Client, **body: Any) -> list[tuple[str, Any]]:
    (choice,) = chat(http, max_tokens=2_000, **body)["choices"]
    found = choice["message"].get("tool_calls", [])
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in found]


@pytest.fixture(autouse=True)
def _draws_instances(facts: Facts) -> None:
    if not facts.makes_sense:
        pytest.skip("a model of random weights may write white space for ever within its grammar")


def test_each_tool_and_each_branch_is_reached_with_required(http: httpx.Client) -> None:
    tools = [tool("search", SEARCH), tool("final_result", ADDRESS)]
    found = [call for seed in SEEDS for call in calls(http, tools=tools, tool_choice="required", seed=seed)]
    assert len(found) == len(SEEDS)
    assert {name for name, _ in found} == {"search", "final_result"}
    for name, arguments in found:
        jsonschema.validate(arguments, ADDRESS if name == "final_result" else SEARCH)
    assert {type(arguments["where"]) for name, arguments in found if name == "final_result"} == {dict, type(None)}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "tree"}}])
def test_parameters_may_refer_to_themselves_in_every_form(http: httpx.Client, choice: object) -> None:
    tree = {
        "type": "object",
        "properties": {
            "label": {"$ref": "#/definitions/label"},
            "kind": {"$ref": "#/properties/label/anyOf/0"},
            "children": {"type": "array", "items": {"$ref": "#"}},
        },
        "required": ["label", "kind", "children"],
        "definitions": {"label": {"anyOf": [{"enum": ["leaf"]}, {"type": "integer"}]}},
    }
    tree["properties"]["kind"] = {"$ref": "#/definitions/label/anyOf/0"}  # type: ignore[index]
    lengths = set()
    for seed in SEEDS:
        ((name, arguments),) = calls(http, tools=[tool("tree", tree)], tool_choice=choice, seed=seed)
        assert name == "tree"
        jsonschema.validate(arguments, tree)
        lengths.add(len(arguments["children"]))
    assert {0, 1} <= lengths


@pytest.mark.parametrize("schema", [IMPOSSIBLE, HUGE], ids=["impossible", "huge"])
class TestWhatCannotBeDrawn:
    def test_with_auto_the_model_calls_another_tool_or_answers_in_text(self, http: httpx.Client, schema: Any) -> None:
        assert [name for name, _ in calls(http, tools=[tool("bad", schema), tool("search", SEARCH)])] == ["search"]
        for choice in (None, "auto"):
            (alone,) = chat(http, tools=[tool("bad", schema)], tool_choice=choice)["choices"]
            assert alone["message"]["content"]
            assert "tool_calls" not in alone["message"]
            assert alone["finish_reason"] == "stop"

    def test_with_required_another_tool_is_called(self, http: httpx.Client, schema: Any) -> None:
        tools = [tool("bad", schema), tool("search", SEARCH), tool("worse", schema)]
        for seed in SEEDS:
            ((name, _),) = calls(http, tools=tools, tool_choice="required", seed=seed)
            assert name == "search"

    def test_the_error_names_tool_and_field_if_no_tool_can_be_called(self, http: httpx.Client, schema: Any) -> None:
        required = {"tools": [tool("bad", schema), tool("worse", schema)], "tool_choice": "required"}
        error = refused(http, CHAT, {"messages": QUESTION, **required})
        assert error["param"] == "tools.0.function.parameters"
        assert error["message"].startswith("tools.0.function.parameters (function 'bad'): ")
        named = {"type": "function", "function": {"name": "worse"}}
        error = refused(http, CHAT, {"messages": QUESTION, **required, "tool_choice": named})
        assert error["param"] == "tools.1.function.parameters"
        assert "function 'worse'" in error["message"]
        assert error["message"].endswith("(at day)" if schema is IMPOSSIBLE else "(at text)")

    def test_a_format_is_named_by_its_field(self, http: httpx.Client, schema: Any) -> None:
        for body, field in (
            ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}},
             "response_format.json_schema.schema"),
            ({"response_format": {"type": "json_object", "schema": schema}}, "response_format.schema"),
            ({"structured_outputs": {"json": schema}}, "structured_outputs.json"),
            ({"structured_outputs": {"json": json.dumps(schema)}}, "structured_outputs.json"),
        ):  # fmt: skip
            error = refused(http, COMPLETIONS, {"prompt": "a", **body})
            assert error["param"] == field
            assert error["message"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}, "minProperties": 1},
        {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]},
        {"type": "object", "properties": {"a": {"not": {"type": "string"}}}, "required": ["a"]},
        {
            "type": "object",
            "properties": {"hash": {"type": "string", "pattern": "^[0-9a-f]{128}$"}},
            "required": ["hash"],
        },
        {},
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_every_keyword_is_served(http: httpx.Client, parameters: Any, choice: str) -> None:
    ((_, arguments),) = calls(http, tools=[tool("do", parameters)], tool_choice=choice)
    jsonschema.validate(arguments, parameters or {"type": "object"})


class TestJsonObject:
    def test_it_depends_on_prompt_and_seed_and_on_nothing_else(self, http: httpx.Client) -> None:
        def answer(prompt: str, seed: int) -> str:
            return str(complete(http, prompt=prompt, seed=seed, **JSON_OBJECT)["choices"][0]["text"])

        texts = {answer(prompt, seed) for prompt in ("red", "green") for seed in range(5)}
        assert len(texts) == 10
        assert all(isinstance(json.loads(text), dict) for text in texts)
        assert answer("red", 3) == answer("red", 3)

    def test_a_schema_in_it_is_honoured(self, http: httpx.Client) -> None:
        wanted = {"type": "json_object", "schema": ADDRESS}
        for seed in SEEDS:
            (choice,) = chat(http, response_format=wanted, seed=seed, max_tokens=500)["choices"]
            jsonschema.validate(json.loads(choice["message"]["content"]), ADDRESS)


def test_the_error_for_an_unsupported_pattern_is_about_the_pattern(http: httpx.Client) -> None:
    for pattern, says in (
        (r"\p{Script=Greek}", "does not support the Unicode class"),
        ("(", "a parenthesis is not closed"),
    ):
        error = refused(http, COMPLETIONS, {"prompt": "a", "structured_outputs": {"regex": pattern}})
        assert error["param"] == "structured_outputs.regex"
        assert says in error["message"]
