"""Limits of one request: a request above a limit is refused with an error that names the field and the limit."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.contract.server.conftest import Facts
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, answer, complete, error_of, refused

JSON = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def _bundled_tokenizer(facts: Facts) -> None:
    if not facts.makes_sense:
        pytest.skip("of engines with the bundled tokenizer")


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"prompt": ["a"] * 4_097}, "prompt", "prompt asks for 4097 choices; one request may have at most 4096"),
        ({"prompt": [[1]] * 4_097}, "prompt", "prompt asks for 4097 choices; one request may have at most 4096"),
        (
            {"prompt": ["a"] * 40, "n": 128},
            "prompt",
            "prompt and n ask for 5120 choices; one request may have at most 4096 (--max-choices)",
        ),
        ({"prompt": "a", "bad_words": ["b"] * 1_001}, "bad_words", "must have at most 1000 items (got 1001)"),
        ({"prompt": "a", "bad_words": ["b" * 1_001]}, "bad_words.0", "at most 1000 characters (got 1001)"),
        ({"prompt": "a", "logit_bias": {str(i): 1 for i in range(20_001)}}, "logit_bias", "at most 20000 items"),
        ({"prompt": "a", "bad_words": ["b" * 1_000] * 51}, "bad_words", "at most 50000: forbid fewer words"),
        ({"prompt": [300] * 10_000, "prompt_logprobs": 10}, "prompt_logprobs", "asks for 110000 log probabilities"),
        ({"prompt": [300] * 5_000, "echo": True, "logprobs": 5, "n": 4}, "logprobs", "asks for 120000 log probabil"),
        (
            {"prompt": "x" * 2_000_001},
            "prompt",
            "This model's maximum context length is 32768 tokens. However, the prompt",
        ),
        (
            {"prompt": "龘" * 200_000},
            "prompt",
            "This model's maximum context length is 32768 tokens. However, the prompt",
        ),
    ],
    ids=range(11),
)
def test_of_a_completion(http: httpx.Client, body: dict[str, Any], param: str | None, says: str) -> None:
    error = refused(http, COMPLETIONS, body)
    assert error["param"] == param
    assert says in error["message"]


@pytest.mark.parametrize("part", ["content", "tools", "arguments"])
def test_a_chat_far_beyond_the_context_gets_the_same_error_as_one_just_beyond_it(http: httpx.Client, part: str) -> None:
    long = "word " * 390_000
    body: dict[str, Any] = {"messages": QUESTION}
    if part == "content":
        body = {"messages": [{"role": "user", "content": long}]}
    elif part == "tools":
        body |= {"tools": [{"type": "function", "function": {"name": "f", "description": long}}]}
    else:
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": long})}}
        body = {"messages": [*QUESTION, {"role": "assistant", "content": None, "tool_calls": [call]}]}
    error = refused(http, CHAT, body)
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"[" + b"{}," * 20_000 + b"1]", "20,000 objects and arrays"),
        (b"[" + b"1," * 500_000 + b"1]", "500,000 values"),
        (b"{" + b'"a":1,' * 100_000 + b'"b":1}', "100,000 members of objects"),
        (b'"' + b"\\n" * 10_000_001 + b'"', "5,000,000 escaped characters"),
    ],
)
def test_a_body_of_very_many_values_is_a_413(http: httpx.Client, value: bytes, says: str) -> None:
    error = error_of(http.post(COMPLETIONS, content=b'{"prompt":"a","x":%b}' % value, headers=JSON), 413)
    assert (error["code"], says in error["message"]) == ("request_too_large", True)


def test_nesting_has_a_limit_wherever_json_is_read(http: httpx.Client) -> None:
    deep = "[" * 10_000 + "]" * 10_000
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": deep}}
    messages = [*QUESTION, {"role": "assistant", "content": None, "tool_calls": [call]}]
    assert refused(http, CHAT, {"messages": messages})["param"] == "messages.1.tool_calls.0.function.arguments"
    assert refused(http, "/tokenize", {"messages": messages})["param"] == "messages.1.tool_calls.0.function.arguments"
    alternatives = '{"allOf":[' * 17 + "{}" + "]}" * 17
    for schema in (deep, alternatives):
        body = {"prompt": "a", "structured_outputs": {"json": schema}}
        assert refused(http, COMPLETIONS, body)["param"] == "structured_outputs.json"
    roles = [{"role": "tools", "content": deep}, *QUESTION]
    assert answer(http, CHAT, {"messages": roles, "max_tokens": 2})["choices"][0]["message"]["content"]
    shallow = '{"allOf":[' * 16 + "{}" + "]}" * 16
    assert complete(http, structured_outputs={"json": shallow})["choices"][0]["text"]


def test_requests_just_within_the_limits_are_served(http: httpx.Client) -> None:
    whole = answer(http, COMPLETIONS, {"prompt": ["a"] * 1_000, "n": 4, "max_tokens": 1})
    assert [choice["index"] for choice in whole["choices"]] == list(range(4_000))
    assert whole["usage"]["completion_tokens"] == 4_000
    text = "word " * 60_000
    body = {"prompt": text, "truncate_prompt_tokens": 7, "max_tokens": 1}
    assert answer(http, COMPLETIONS, body)["usage"]["prompt_tokens"] == 7
    found = answer(http, "/tokenize", {"prompt": text, "return_token_strs": True})
    assert found["count"] == len(found["tokens"]) == len(found["token_strs"])
    assert "".join(found["token_strs"]) == text
    assert answer(http, "/detokenize", {"tokens": found["tokens"]})["prompt"] == text
