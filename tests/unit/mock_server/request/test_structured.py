from __future__ import annotations

import pytest

from mock_server.engine.base import StructuredOutput
from mock_server.errors import ApiError
from mock_server.request.bodies import CompletionRequest
from mock_server.request.structured import structured_output
from mock_server.request.validation import parse


def wanted(fields: str) -> StructuredOutput | None:
    return structured_output(parse(CompletionRequest, f'{{"prompt": "a", {fields}}}'.encode()))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('"response_format": null', None),
        ('"response_format": {"type": "text"}', None),
        ('"response_format": {"type": "json_object"}', StructuredOutput("json_object", True)),
        (
            '"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}',
            StructuredOutput("json", {"type": "object"}),
        ),
        ('"structured_outputs": {"choice": ["a", "b"]}', StructuredOutput("choice", ["a", "b"])),
        ('"structured_outputs": {"regex": "a+"}', StructuredOutput("regex", "a+")),
        ('"structured_outputs": {"json": "{}"}', StructuredOutput("json", "{}")),
        ('"structured_outputs": {"json": {"type": "string"}}', StructuredOutput("json", {"type": "string"})),
        ('"structured_outputs": {"regex": "a", "json_object": false}', StructuredOutput("regex", "a")),
        (
            '"structured_outputs": {"json_object": true, "disable_any_whitespace": true, "whitespace_pattern": " ?"}',
            StructuredOutput("json_object", True, {"disable_any_whitespace": True, "whitespace_pattern": " ?"}),
        ),
        (
            '"structured_outputs": {"choice": ["a"]}, "response_format": {"type": "text"}',
            StructuredOutput("choice", ["a"]),
        ),
    ],
)  # fmt: skip
def test_both_ways_to_ask_for_structure_reach_the_engine(fields: str, expected: StructuredOutput | None) -> None:
    assert wanted(fields) == expected


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ('"response_format": {"type": "json_schema"}', "response_format.json_schema.schema", "is required"),
        ('"response_format": {"type": "json_schema", "json_schema": {}}', "response_format.json_schema.schema", "is"),
        ('"structured_outputs": {}', "structured_outputs", "exactly one of json, regex, choice"),
        ('"structured_outputs": {"regex": "a", "choice": ["b"]}', "structured_outputs", r"\(got regex, choice\)"),
        (
            '"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}',
            "structured_outputs",
            "either response_format or structured_outputs",
        ),
    ],
)
def test_invalid_constraints_are_refused(fields: str, param: str, says: str) -> None:
    with pytest.raises(ApiError, match=says) as caught:
        wanted(fields)
    assert (caught.value.status, caught.value.param) == (400, param)
