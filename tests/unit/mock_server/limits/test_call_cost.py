"""Limits on the arguments of the tool calls in a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mock_server.errors import ApiError
from mock_server.limits.call_cost import check_calls
from mock_server.limits.request_cost import check_request, check_tokenize
from mock_server.request.bodies import ChatRequest, TokenizeRequest
from mock_server.request_limits import MAX_ARGUMENTS_LENGTH, MAX_ARGUMENTS_VALUES, MAX_NESTING, RequestLimits

UNLIMITED = RequestLimits(choices=0, choices_in_progress=0, answer_tokens=0, schema_characters=0)


def conversation(*arguments: str) -> dict[str, Any]:
    """Two calls in each message."""
    calls = [{"function": {"name": "f", "arguments": text}} for text in arguments]
    messages = [{"role": "assistant", "tool_calls": calls[at : at + 2]} for at in range(0, len(calls), 2)]
    return {"messages": messages}


def refused(*arguments: str) -> ApiError:
    request = ChatRequest.model_validate(conversation(*arguments))
    with pytest.raises(ApiError) as caught:
        check_request(request, UNLIMITED)
    with pytest.raises(ApiError) as as_tokens:
        check_tokenize(TokenizeRequest.model_validate(conversation(*arguments)), UNLIMITED)
    assert as_tokens.value.body() == caught.value.body()
    assert caught.value.status == 400
    return caught.value


def check(*arguments: str) -> None:
    check_calls(ChatRequest.model_validate(conversation(*arguments)).messages)


def test_the_characters_of_all_arguments_count_together() -> None:
    half = json.dumps("a" * (MAX_ARGUMENTS_LENGTH // 2 - 2))
    check(half, half)
    error = refused(half, half, "1")
    assert error.param == "messages.1.tool_calls.0.function.arguments"
    assert "the arguments of all calls have more than 2000000 characters together: leave earlier" in error.message


def test_the_values_of_all_arguments_count_together() -> None:
    half = json.dumps([1] * (MAX_ARGUMENTS_VALUES // 2))
    check(half, half, json.dumps("[1, 2], {3: 4}"))
    error = refused(half, half, "1", "[]")
    assert error.param == "messages.1.tool_calls.1.function.arguments"
    assert "more than 100000 values and names together" in error.message
    assert refused("[1," * MAX_ARGUMENTS_VALUES).param == "messages.0.tool_calls.0.function.arguments"
    assert refused(json.dumps({str(number): 1 for number in range(60_000)})).param is not None


def test_marks_inside_strings_do_not_count() -> None:
    check(json.dumps({"code": "[{(,:" * 100_000}))
    check(json.dumps({"code": '\\"[{' * 100_000}))
    check(*[json.dumps({"code": "[{(,:" * 6_000}) for _ in range(20)])


def test_arguments_nested_too_deep_are_refused() -> None:
    check("[" * MAX_NESTING + "]" * MAX_NESTING)
    error = refused("{}", '{"a":' * (MAX_NESTING + 1) + "1" + "}" * (MAX_NESTING + 1))
    assert error.param == "messages.0.tool_calls.1.function.arguments"
    assert "objects and arrays nested more than 200 deep: nest fewer of them" in error.message
