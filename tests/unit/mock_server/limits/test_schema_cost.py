"""Limits on the nesting and the number of schemas and expressions in a request, whatever the options are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.errors import ApiError
from mock_server.limits.request_cost import check_request, check_tokenize
from mock_server.request.bodies import ChatRequest, CompletionRequest, TokenizeRequest
from mock_server.request_limits import (
    MAX_ALTERNATIVES_NESTING,
    MAX_GROUP_NESTING,
    MAX_NESTING,
    MAX_PATTERN_PARTS,
    MAX_PATTERNS,
    MAX_SCHEMA_VALUES,
    RequestLimits,
)

UNLIMITED = RequestLimits(choices=0, choices_in_progress=0, answer_tokens=0, schema_characters=0)
MESSAGES = [{"role": "user", "content": "a"}]


def places(schema: Any) -> Iterator[tuple[str, ChatRequest | CompletionRequest]]:
    """Wherever a schema, or what a template is given, can be."""

    def completion(**fields: Any) -> CompletionRequest:
        return CompletionRequest.model_validate({"prompt": "a", **fields})

    def chat(**fields: Any) -> ChatRequest:
        return ChatRequest.model_validate({"messages": MESSAGES, **fields})

    def tool(**fields: Any) -> ChatRequest:
        return chat(tools=[{"type": "function", "function": {"name": "f"}, **fields}])

    yield "structured_outputs.json", completion(structured_outputs={"json": schema})
    yield "structured_outputs.json", completion(structured_outputs={"json": json.dumps(schema)})
    yield "structured_outputs.structural_tag", completion(structured_outputs={"structural_tag": json.dumps(schema)})
    wrapped = {"type": "json_schema", "json_schema": {"schema": schema}}
    yield "response_format.json_schema.schema", completion(response_format=wrapped)
    yield "response_format.schema", chat(response_format={"type": "json_object", "schema": schema})
    yield "chat_template_kwargs", chat(chat_template_kwargs=schema)
    yield "tools.0.function.parameters", tool(function={"name": "f", "parameters": schema})
    yield "tools.0.function", tool(function={"name": "f", **schema})
    yield "tools.0", tool(**schema)


def problem(request: ChatRequest | CompletionRequest) -> ApiError | None:
    try:
        check_request(request, UNLIMITED)
    except ApiError as error:
        return error if error.status == 400 else None
    return None


def assert_refused(schema: Any, says: str) -> None:
    for field, request in places(schema):
        error = problem(request)
        assert error is not None
        assert error.param == field
        assert error.message.startswith(f"{field} has")
        assert says in error.message


def assert_taken(schema: Any) -> None:
    assert [problem(request) for _, request in places(schema)] == [None] * 9


def nested(depth: int, key: str | None) -> Any:
    """`depth` objects within each other, or lists within an object."""
    made: Any = {} if key else []
    for _ in range(depth - 1):
        made = {key: made} if key else [made]
    return made if key else {"a": made}


@given(st.integers(1, MAX_NESTING))
def test_nesting_within_the_limit_is_accepted(depth: int) -> None:
    assert_taken(nested(depth, "items"))


def test_nesting_above_the_limit_is_refused_in_every_field() -> None:
    says = "objects and arrays nested more than 200 deep: nest fewer of them"
    assert_refused(nested(MAX_NESTING + 1, "items"), says)
    assert_refused(nested(MAX_NESTING, None), says)
    assert_taken(nested(MAX_NESTING - 1, None))


def test_json_text_is_measured_before_it_is_parsed() -> None:
    for text, says in (("[" * 90_000, "200 deep"), ("[1," * 100_000, f"more than {MAX_SCHEMA_VALUES} values")):
        wanted = CompletionRequest.model_validate({"prompt": "a", "structured_outputs": {"json": text}})
        error = problem(wanted)
        assert error is not None
        assert says in error.message
    for text in ("", "{", "nothing", "[1, 2", '"\\ud800"', "9" * 5_000):  # the engine's to refuse
        assert problem(CompletionRequest.model_validate({"prompt": "a", "structured_outputs": {"json": text}})) is None


def alternatives(depth: int) -> Any:
    made: Any = {"type": "string"}
    for level in range(depth):
        made = {("oneOf", "anyOf", "allOf")[level % 3]: [{"type": "null"}, {"properties": {"a": made}}]}
    return made


@given(st.integers(0, MAX_ALTERNATIVES_NESTING))
def test_alternatives_may_be_nested_up_to_a_limit(depth: int) -> None:
    assert_taken({"not": alternatives(depth)})
    assert_taken({"anyOf": [alternatives(MAX_ALTERNATIVES_NESTING - 1)] * 3})


def test_alternatives_nested_deeper_are_refused() -> None:
    says = "oneOf, anyOf or allOf nested more than 16 deep: merge some"
    assert_refused({"not": alternatives(MAX_ALTERNATIVES_NESTING + 1)}, says)
    assert_taken({"properties": nested(MAX_ALTERNATIVES_NESTING + 1, "anyOf")})  # the names of properties


def groups(depth: int) -> str:
    return "(" * depth + "a" + ")" * depth


def test_parentheses_may_be_nested_up_to_a_limit() -> None:
    assert_taken({"pattern": groups(MAX_GROUP_NESTING)})
    assert_taken({"pattern": "(a)" * 5_000})
    assert_taken({"pattern": r"\(" * 100 + "[(]" * 100})
    assert_taken({"title": groups(MAX_GROUP_NESTING + 1)})
    says = "regular expression with parentheses nested more than 60 deep: nest fewer of them"
    for schema in ({"pattern": groups(MAX_GROUP_NESTING + 1)}, {"patternProperties": {groups(61): True}}):
        assert_refused(schema, says)
    assert_refused({"pattern": "[]" + groups(61)}, says)  # JavaScript's empty set


def constraint(**fields: Any) -> ApiError:
    error = problem(CompletionRequest.model_validate({"prompt": "a", "structured_outputs": fields}))
    assert error is not None
    return error


def test_the_limits_apply_to_expressions_and_grammars_that_are_the_whole_constraint() -> None:
    for kind in ("regex", "whitespace_pattern", "grammar"):
        error = constraint(**{kind: groups(MAX_GROUP_NESTING + 1)})
        assert error.param == f"structured_outputs.{kind}"
        assert "more than 60 deep" in error.message
    assert "more than 50000 brackets and quotes" in constraint(grammar="root ::= " + '"a" ' * 30_000).message


def test_the_number_of_parts_of_expressions_is_limited() -> None:
    assert_taken({"pattern": r"\d" * MAX_PATTERN_PARTS})
    assert_refused({"allOf": [{"pattern": r"\d"}, {"pattern": "(a)" * MAX_PATTERN_PARTS}]}, "groups, sets, escapes")
    assert_refused({"enum": [{"pattern": "a"}] * (MAX_PATTERNS + 1)}, "more than 5000 regular expressions")


def test_the_number_of_values_of_all_schemas_is_limited() -> None:
    assert_refused({"enum": [1] * MAX_SCHEMA_VALUES}, "more than 100000 values: send less in one request")
    tool = {"type": "function", "function": {"name": "f", "parameters": {"enum": [1] * (MAX_SCHEMA_VALUES // 2)}}}
    error = problem(ChatRequest.model_validate({"messages": MESSAGES, "tools": [tool, tool]}))
    assert error is not None
    assert error.param == "tools.1.function.parameters"


def test_values_for_templates_are_checked_for_tokenize_as_well() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": nested(MAX_NESTING + 1, "items")}}
    for field, fields in (
        ("tools.0.function.parameters", {"tools": [tool]}),
        ("chat_template_kwargs", {"chat_template_kwargs": nested(MAX_NESTING + 1, "a")}),
    ):
        request = TokenizeRequest.model_validate({"messages": MESSAGES, **fields})
        with pytest.raises(ApiError, match="200 deep") as caught:
            check_tokenize(request, UNLIMITED)
        assert caught.value.param == field
    check_tokenize(TokenizeRequest.model_validate({"prompt": "a"}), UNLIMITED)
    small = RequestLimits(schema_characters=200)
    with pytest.raises(ApiError, match="more than 200 characters"):
        check_tokenize(TokenizeRequest.model_validate({"messages": MESSAGES, "tools": [tool]}), small)
