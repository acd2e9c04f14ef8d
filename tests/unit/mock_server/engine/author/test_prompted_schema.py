from __future__ import annotations

import json
import random

import pytest

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.prompted_schema import prompted_schema
from mock_server.engine.author.structured_text import StructuredWriter
from mock_server.engine.base import StructuredOutput

USER = {"properties": {"name": {"type": "string"}}, "required": ["name"], "title": "User", "type": "object"}
TREE = {"$defs": {"Node": USER}, "$ref": "#/$defs/Node"}


@pytest.mark.parametrize(
    "prompt",
    [
        # as instructor and pydantic-ai write them
        "provide the parsed objects in json that match the following json_schema:\n\n\n" + json.dumps(USER, indent=2),
        f"Always respond with a JSON object that's compatible with this schema:\n\n{json.dumps(USER)}\n\nDon't …",
        f"```json\n{json.dumps(USER)}\n```",
        # neither an earlier answer nor a truncated text is a schema
        f'{json.dumps(USER)} … {{"title": "linen", "type": "x"}} and {{"type": "object", "properties": {{',
        f'{{"type": {json.dumps(USER)}',
    ],
)
def test_a_schema_in_a_prompt_is_found(prompt: str) -> None:
    assert prompted_schema(prompt) == USER


def test_the_last_schema_counts_and_not_one_nested_inside_it() -> None:
    other = {"type": "object", "properties": {"inner": USER}}
    assert prompted_schema(f"{json.dumps(USER)} then {json.dumps(other)}") == other
    assert prompted_schema(json.dumps(TREE)) == TREE


@pytest.mark.parametrize(
    "prompt", ["", "Answer in JSON.", '{"properties": 3}', '{"properties": {"a": "text"}}', '{"a": {}}', "{" * 1000]
)
def test_other_json_in_a_prompt_is_not_taken_for_a_schema(prompt: str) -> None:
    assert prompted_schema(prompt) is None


@pytest.mark.parametrize("piece", ['{"properties":', '{"type":[', '{"type":"'])
def test_unfinished_candidates_are_skipped(piece: str) -> None:
    assert prompted_schema(piece * 20_000) is None


def said(prompt: str, seed: int = 1) -> dict[str, object]:
    wanted = StructuredOutput("json_object", True)
    writer = StructuredWriter(wanted, Budget.for_answers(1), lambda: prompt)
    answer = json.loads(writer.text(random.Random(seed)))
    assert isinstance(answer, dict)
    return answer


def test_json_mode_follows_the_schema_in_the_prompt() -> None:
    assert all(said(json.dumps(USER), seed).keys() == {"name"} for seed in range(20))
    assert len({str(said(json.dumps(USER), seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 2, "maximum": 1}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 10**9}}, "required": ["a"]},
        {"type": "array", "properties": {}, "minItems": 1},
        {"$ref": "#/$defs/none", "$defs": {}},
    ],
)
def test_json_mode_never_fails_because_of_its_prompt(schema: dict[str, object]) -> None:
    assert said(json.dumps(schema))
