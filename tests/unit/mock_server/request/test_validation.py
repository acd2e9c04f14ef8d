from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.base import EngineInfo
from mock_server.errors import ApiError
from mock_server.request.bodies import ChatRequest, CompletionRequest, DetokenizeRequest
from mock_server.request.unsupported import refuse_unsupported
from mock_server.request.validation import parse, parse_json, validate
from mock_server.request_limits import MAX_POINTED_INTEGERS

SIM = EngineInfo("sim", "demo", max_model_len=100, vocab_size=1000)
ALL = replace(
    SIM, features=frozenset({"logprobs", "structured_outputs", "logit_bias", "allowed_token_ids", "priority"})
)


def refusal(body: str, model: type[ChatRequest] | type[CompletionRequest] = CompletionRequest) -> ApiError:
    """The same whether the body is read in one piece or, as large ones are, in two."""
    with pytest.raises(ApiError) as caught:
        parse(model, body.encode())
    assert caught.value.status == 400
    with pytest.raises(ApiError) as in_pieces:
        validate(model, parse_json(body.encode()))
    assert in_pieces.value.body() == caught.value.body()
    return caught.value


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ("", None, "The body is not valid JSON: EOF"),
        ('{"prompt": "a"', None, "The body is not valid JSON: EOF"),
        ('{"prompt": "\\ud800"}', None, "The body is not valid JSON"),
        ("[1]", None, "The body must be a JSON object"),
        ("null", None, "The body must be a JSON object"),
        ("{}", "prompt", "prompt is required"),
        ('{"prompt": null}', "prompt", "prompt must be a string, an array of strings, an array of token ids,"),
        ('{"prompt": 3}', "prompt", "or an array of arrays of token ids (got 3)"),
        ('{"prompt": []}', "prompt", "prompt must not be empty (got [])"),
        ('{"prompt": [[]]}', "prompt.0", "prompt.0 must not be empty (got [])"),
        ('{"prompt": [1, -2]}', "prompt.1", "prompt.1 must be at least 0 (got -2)"),
        ('{"prompt": [[1, -2]]}', "prompt.0.1", "prompt.0.1 must be at least 0 (got -2)"),
        ('{"prompt": "a", "model": 3}', "model", "model must be a string (got 3)"),
        ('{"prompt": "a", "temperature": 2.5}', "temperature", "temperature must be at most 2 (got 2.5)"),
        ('{"prompt": "a", "temperature": -1}', "temperature", "temperature must be at least 0 (got -1)"),
        ('{"prompt": "a", "temperature": "0"}', "temperature", 'temperature must be a number (got "0")'),
        ('{"prompt": "a", "temperature": NaN}', "temperature", "(got NaN)"),
        ('{"prompt": "a", "top_p": 0}', "top_p", "top_p must be above 0 (got 0)"),
        ('{"prompt": "a", "top_k": -2}', "top_k", "top_k must be at least -1 (got -2)"),
        ('{"prompt": "a", "presence_penalty": 3}', "presence_penalty", "at most 2"),
        ('{"prompt": "a", "frequency_penalty": -3}', "frequency_penalty", "at least -2"),
        ('{"prompt": "a", "n": 0}', "n", "n must be at least 1 (got 0)"),
        ('{"prompt": "a", "n": true}', "n", "n must be an integer (got true)"),
        ('{"prompt": "a", "max_tokens": -1}', "max_tokens", "max_tokens must be at least 0 (got -1)"),
        ('{"prompt": "a", "max_tokens": 1.5}', "max_tokens", "max_tokens must be an integer (got 1.5)"),
        ('{"prompt": "a", "seed": 9223372036854775808}', "seed", "at most 9223372036854775807"),
        ('{"prompt": "a", "stop": ""}', "stop", "stop must not be empty"),
        ('{"prompt": "a", "stop": ["x", ""]}', "stop.1", "stop.1 must not be empty"),
        ('{"prompt": "a", "stop": ["x"%s]}' % (', "x"' * 16), "stop", "stop must have at most 16 items (got 17)"),
        ('{"prompt": "a", "stop": "%s"}' % ("x" * 1_001), "stop", "must have at most 1000 characters (got 1001)"),
        ('{"prompt": "a", "stop": ["%s"]}' % ("x" * 1_001), "stop.0", "at most 1000 characters (got 1001)"),
        ('{"prompt": "a", "stop": 3}', "stop", "stop must be a string or an array of strings (got 3)"),
        (
            '{"prompt": "a", "logprobs": "x"}',
            "logprobs",
            'logprobs must be a number of tokens, true, or false (got "x")',
        ),
        ('{"prompt": "a", "logprobs": -1}', "logprobs", "logprobs must be at least 0 (got -1)"),
        ('{"prompt": "a", "logit_bias": {"7": 101}}', "logit_bias", "logit_bias must be at most 100 (got 101)"),
        (
            '{"prompt": "a", "response_format": {"type": "xml"}}',
            "response_format.type",
            "must be one of 'text', 'json_",
        ),
        ('{"prompt": "a", "structured_outputs": {"xml": 1}}', "structured_outputs.xml", "is not known (got 1)"),
        (
            '{"prompt": "a", "structured_outputs": {"json": 3}}',
            "structured_outputs.json",
            "as an object or as a string",
        ),
        ('{"prompt": "a", "stream": 1}', "stream", "stream must be true or false (got 1)"),
        ('{"prompt": "a", "stream_options": 1}', "stream_options", "stream_options must be an object (got 1)"),
    ],
)
def test_a_refusal_names_the_field_the_rule_and_the_value(body: str, param: str | None, message: str) -> None:
    error = refusal(body)
    assert error.param == param
    assert message in error.message


@pytest.mark.parametrize(
    "field", ["max_tokens", "min_tokens", "n", "seed", "top_k", "logprobs", "prompt_logprobs", "priority"]
)
def test_an_integer_may_be_written_with_a_point(field: str) -> None:
    """As JSON's own numbers may, and as vLLM takes it."""
    found = getattr(parse(CompletionRequest, f'{{"prompt": "a", "{field}": 5.0}}'.encode()), field)
    assert (found, type(found)) == (5, int)


@pytest.mark.parametrize(
    ("field", "value"),
    [("prompt", [5, 6.0]), ("prompt", [[5.0], [6]]), ("stop_token_ids", [5.0]), ("allowed_token_ids", [5.0])],
)
def test_an_integer_in_a_list_may_be_written_with_a_point(field: str, value: list[Any]) -> None:
    body = {"prompt": "a", field: value}
    found = getattr(parse(CompletionRequest, json.dumps(body).encode()), field)
    assert found == value
    assert "." not in json.dumps(found)


@pytest.mark.parametrize(
    ("messages", "param", "message"),
    [
        ("[]", "messages", "messages must not be empty (got [])"),
        ('"hi"', "messages", 'messages must be an array (got "hi")'),
        ('[{"content": "hi"}]', "messages.0.role", "messages.0.role is required"),
        (
            f'[{{"role": "{"r" * 257}", "content": "hi"}}]',
            "messages.0.role",
            "must have at most 256 characters (got 257)",
        ),
        ('[{"role": "user", "content": 3}]', "messages.0.content", "must be a string, an array of content parts"),
        ('[{"role": "user", "content": [{"text": "hi"}]}]', "messages.0.content.0.type", "is required"),
    ],
)
def test_a_wrong_message_is_named_by_its_position(messages: str, param: str, message: str) -> None:
    error = refusal(f'{{"messages": {messages}}}', ChatRequest)
    assert error.param == param
    assert message in error.message


def test_an_echo_of_bad_input_stays_small() -> None:
    assert len(refusal('{"prompt": "a", "n": "' + "x" * 100_000 + '"}').body()) < 500
    assert len(refusal('{"prompt": [' + "1.5," * 10_000 + "1]}").body()) < 500


@pytest.mark.parametrize(
    "fields",
    [
        '"logit_bias": {"%s": "a"}' % ("a" * 50_000),
        '"structured_outputs": {"%s": 1}' % ("a" * 50_000),
        f'"stop": {json.dumps([["a" * 50_000] * 200] * 2)}',
        f'"n": {json.dumps([{"a" * 50_000: 1}] * 2)}',
        '"n": ["%s"]' % ("a" * 50_000),
        f'"n": {"[" * 190}1{"]" * 190}',
    ],
)  # fmt: skip
def test_an_echo_of_bad_input_is_cut_wherever_it_is_long(fields: str) -> None:
    assert len(refusal(f'{{"prompt": "a", {fields}}}').body()) < 500


def test_errors_omit_nested_values() -> None:
    message = refusal('{"prompt": "a", "n": [1, 2.0, "x", [3], [], {"a": 1}, {}]}').message
    assert message == 'n must be an integer (got [1, 2, "x", […], [], {…}, {}])'


_ITEMS = st.one_of(
    st.integers(-2, 5), st.floats(allow_nan=False), st.just(7.0), st.booleans(), st.text("ab", max_size=2), st.none()
)


@given(st.one_of(
    _ITEMS,
    st.lists(_ITEMS, max_size=3),
    st.lists(st.integers(0, 9), max_size=3),
    st.lists(st.text("ab", max_size=2), max_size=3),
    st.lists(st.one_of(st.lists(_ITEMS, max_size=3), st.lists(st.integers(0, 9), max_size=3), _ITEMS), max_size=3),
))  # fmt: skip
def test_a_prompt_is_a_text_or_token_ids_or_a_list_of_either(prompt: Any) -> None:
    def is_id(value: Any) -> bool:
        is_number = type(value) is int or (type(value) is float and math.isfinite(value) and value == int(value))
        return is_number and value >= 0

    def is_one(value: Any) -> bool:
        return isinstance(value, str) or (isinstance(value, list) and value != [] and all(map(is_id, value)))

    def is_several(value: Any) -> bool:
        if not isinstance(value, list) or not value or not all(map(is_one, value)):
            return False
        return len(set(map(type, value))) == 1

    body = json.dumps({"prompt": prompt})
    if is_one(prompt) or is_several(prompt):
        found = parse(CompletionRequest, body.encode()).prompt
        assert found == prompt
        assert "." not in json.dumps(found)
        assert validate(CompletionRequest, parse_json(body.encode())).prompt == found
    else:
        assert (refusal(body).param or "").startswith("prompt")


@pytest.mark.parametrize(("count", "status"), [(MAX_POINTED_INTEGERS, 200), (MAX_POINTED_INTEGERS + 1, 400)])
def test_the_number_of_integers_written_with_a_point_is_limited(count: int, status: int) -> None:
    for field, model in (("prompt", CompletionRequest), ("tokens", DetokenizeRequest)):
        value = {field: [5.0] * count}
        if status == 200:
            assert type(getattr(validate(model, value), field)[-1]) is int
        else:
            with pytest.raises(ApiError, match="at most 200000 items if integers are written") as caught:
                validate(model, value)
            assert caught.value.param == field


@pytest.mark.parametrize("bias", ["true", "null", '"1"', "101", "NaN", "-1e400", "9" * 400, "[1]"])
def test_the_first_wrong_bias_is_reported(bias: str) -> None:
    error = refusal(f'{{"prompt": "a", "logit_bias": {{"1": 3, "2": {bias}, "3": 1000}}}}')
    assert error.param == "logit_bias"
    assert "1000" not in error.message


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf{}", b"{", b"", b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16")])
def test_parsing_in_two_steps_has_the_same_result_as_in_one(body: bytes) -> None:
    with pytest.raises(ApiError) as whole:
        parse(CompletionRequest, body)
    with pytest.raises(ApiError) as in_pieces:
        validate(CompletionRequest, parse_json(body))
    assert in_pieces.value.body() == whole.value.body()


def test_unknown_fields_are_ignored_and_nulls_are_unset() -> None:
    request = parse(CompletionRequest, b'{"prompt": "a", "brand_new": {"x": 1}, "max_tokens": null, "stop": null}')
    assert request.max_tokens is None
    refuse_unsupported(request, SIM)


@pytest.mark.parametrize(("body", "strings"), [('"a"', ("a",)), ('["a", "b"]', ("a", "b")), ("null", ()), ("[]", ())])
def test_stop_takes_one_string_or_several(body: str, strings: tuple[str, ...]) -> None:
    assert parse(CompletionRequest, f'{{"prompt": "a", "stop": {body}}}'.encode()).stop_strings == strings


@pytest.mark.parametrize(
    "field",
    [
        '"logprobs": true',
        '"logprobs": 0',
        '"top_logprobs": 2',
        '"response_format": {"type": "json_object"}',
        '"structured_outputs": {"choice": ["a"]}',
        '"guided_regex": "a+"',
        '"logit_bias": {"5": 1}',
        '"best_of": 2',
        '"suffix": "b"',
        '"prompt_logprobs": 0',
        '"skip_special_tokens": false',
        '"num_beams": 4',
        '"priority": 3',
        '"images": ["x"]',
        '"modalities": ["audio"]',
    ],
)
def test_unsupported_fields_are_refused_by_name(field: str) -> None:
    request = parse(CompletionRequest, f'{{"prompt": "a", {field}}}'.encode())
    with pytest.raises(ApiError) as caught:
        refuse_unsupported(request, SIM)
    assert caught.value.status == 400
    assert caught.value.param == field.split('"')[1]
    assert caught.value.message.startswith(f"{caught.value.param} is not supported")


@pytest.mark.parametrize(
    "field",
    [
        '"logprobs": false',
        '"logprobs": null',
        '"top_logprobs": 0',
        '"response_format": {"type": "text"}',
        '"logit_bias": {}',
        '"best_of": 1',
        '"suffix": ""',
        '"skip_special_tokens": true',
        '"num_beams": 1',
        '"length_penalty": 1.0',
        '"priority": 0',
        '"modalities": ["text"]',
    ],
)
def test_a_value_that_asks_for_nothing_is_accepted(field: str) -> None:
    refuse_unsupported(parse(CompletionRequest, f'{{"prompt": "a", {field}}}'.encode()), SIM)


@pytest.mark.parametrize(
    "field",
    [
        '"logprobs": 3',
        '"response_format": {"type": "json_object"}',
        '"structured_outputs": {"choice": ["a"]}',
        '"logit_bias": {"5": 1}',
        '"allowed_token_ids": [5]',
        '"priority": 3',
    ],
)
def test_fields_that_the_engine_supports_are_accepted(field: str) -> None:
    refuse_unsupported(parse(CompletionRequest, f'{{"prompt": "a", {field}}}'.encode()), ALL)


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse(CompletionRequest, '{"prompt": "ä"}'.encode("utf-8-sig")).prompt == "ä"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_the_error_names_another_encoding(encoding: str) -> None:
    with pytest.raises(ApiError, match="in UTF-16 or UTF-32; send it in UTF-8"):
        parse(CompletionRequest, '{"prompt": "a"}'.encode(encoding))
