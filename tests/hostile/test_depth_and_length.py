"""Requests with deep nesting or unexpected length are refused immediately, even without --max-schema-size."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.hostile.conftest import Watch
from tests.support.hostile_check import ADDRESS_SPACE
from tests.support.hostile_requests import CHAT, COMPLETIONS, TOKENIZE, Request
from tests.support.serving import ServerProcess, server_process

MEGABYTE = 1_000_000
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    lifted = ("--max-schema-size", "0", "--runtime-lora", "true")
    with server_process("--log-interval", "0", *lifted, ulimit=ADDRESS_SPACE) as found:
        yield found


def answer(server: ServerProcess, request: Request) -> tuple[int, bytes]:
    host, _, port = server.root.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=50)
    path, body = request
    connection.request("POST", path, body, {"content-type": "application/json"})
    response = connection.getresponse()
    status, text = response.status, response.read()
    connection.close()
    return status, text


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def completion(**fields: Any) -> Request:
    return COMPLETIONS, body(**{"prompt": "a", "max_tokens": 1, **fields})


def chat(**fields: Any) -> Request:
    return CHAT, body(**{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, **fields})


def calls(path: str, *arguments: str) -> Request:
    made = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": text}} for text in arguments]
    user = {"role": "user", "content": "a"}
    return path, body(messages=[user, {"role": "assistant", "content": None, "tool_calls": made}, user])


def in_key(field: str) -> Request:
    return COMPLETIONS, b'{"prompt":"a","%b":{"%b":"x"}}' % (field.encode(), b"a" * 28 * MEGABYTE)


def number_of_digits(field: str, digits: int) -> Request:
    """As many as Python reads; one more than them it can neither write nor quote."""
    return COMPLETIONS, b'{"prompt":"a","%b":%b}' % (field.encode(), b"9" * digits)


REFUSED: dict[str, tuple[str, Callable[[], Request]]] = {
    "deep arguments": ("messages.1", lambda: calls(CHAT, "[" * 200_000)),
    "long arguments": ("messages.1", lambda: calls(CHAT, *['"' + "a" * 9 * MEGABYTE + '"'] * 3)),
    "many values in arguments": ("messages.1", lambda: calls(CHAT, "[" + "1," * 900_000 + "1]")),
    "many values in arguments to be tokenized": ("messages.1", lambda: calls(TOKENIZE, "[" + '"",' * 600_000 + "1]")),
    "long words": ("bad_words", lambda: completion(bad_words=["a" * 1_000] * 1_000)),
    "words of many choices": ("bad_words", lambda: completion(bad_words=["a" * 1_000] * 49, n=128)),
    "a deep schema": ("structured_outputs.json", lambda: completion(structured_outputs={"json": "[" * 9 * MEGABYTE})),
    "deep alternatives": (
        "structured_outputs.json",
        lambda: completion(structured_outputs={"json": '{"anyOf":[' * 90 + "{}" + "]}" * 90}),
    ),
    "a deep expression": (
        "structured_outputs.regex",
        lambda: completion(structured_outputs={"regex": "(" * 15_000 + "a" + ")" * 15_000}),
    ),
    "a long expression": (
        "structured_outputs.regex",
        lambda: completion(structured_outputs={"regex": "a{1}" * 7 * MEGABYTE}),
    ),
    "a long effort": ("reasoning_effort", lambda: chat(reasoning_effort="a" * 28 * MEGABYTE)),
    "a long effort for the template": (
        "chat_template_kwargs.reasoning_effort",
        lambda: chat(chat_template_kwargs={"reasoning_effort": "a" * 28 * MEGABYTE}),
    ),
    "a long name": (
        "messages.0.name",
        lambda: (CHAT, body(messages=[{"role": "user", "content": "a", "name": "a" * 28 * MEGABYTE}])),
    ),
    "a long key": ("structured_outputs.a", lambda: in_key("structured_outputs")),
    "a long key of a bias": ("logit_bias", lambda: in_key("logit_bias")),
    "many unknown names": (
        "structured_outputs.a",
        lambda: completion(structured_outputs={f"a{number}": 1 for number in range(99_000)}),
    ),
    **{
        f"a {field} of thousands of digits": (field, partial(number_of_digits, field, 4_300))
        for field in ("max_tokens", "min_tokens", "top_k", "logprobs", "prompt_logprobs", "priority")
    },
    "long values in a list": ("n", lambda: completion(n=[["a" * MEGABYTE] * 14] * 2)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_short_and_names_the_field(server: ServerProcess, watch: Watch, name: str) -> None:
    field, make = REFUSED[name]
    request = make()
    with watch(server):
        status, text = answer(server, request)
    assert status == 400
    error = json.loads(text)["error"]
    assert error["param"].startswith(field)
    assert len(text) < 2_000


@pytest.mark.parametrize("fields", [{"stream": True}, {"stream": True, "logprobs": True}], ids=["plain", "logprobs"])
def test_a_prompt_repeated_in_each_choice_of_a_chat(
    server: ServerProcess, watch: Watch, fields: dict[str, Any]
) -> None:
    messages = [{"role": "user", "content": "hello wor " * 8_000}]
    with watch(server):
        status, text = answer(server, chat(messages=messages, n=128, return_token_ids=True, **fields))
    assert status == 400
    assert json.loads(text)["error"]["param"] == "return_token_ids"


def test_a_tool_whose_smallest_argument_cannot_be_written_is_not_called(server: ServerProcess) -> None:
    number = b'{"type":"integer","exclusiveMinimum":%b}' % (b"9" * 4_300)
    schema = b'{"type":"object","properties":{"a":%b},"required":["a"]}' % number
    tools = b'[{"type":"function","function":{"name":"f","parameters":%b}}]' % schema
    request = b'{"messages":[{"role":"user","content":"f"}],"tools":%b,"max_tokens":5}' % tools
    status, text = answer(server, (CHAT, request))
    assert status == 200
    assert json.loads(text)["choices"][0]["message"]["content"]


NONE_SUCH = 10**6
PROMPTS: dict[str, Callable[[], Any]] = {
    "token ids": lambda: [300] * 490_000,
    "token ids and a word": lambda: [300] * 489_999 + ["a"],
    "lists of token ids": lambda: [[NONE_SUCH] * 245] * 2_000,
    "lists of integers with points": lambda: [[float(NONE_SUCH)] * 245] * 2_000,
    "words": lambda: ["a"] * 490_000,
}


@pytest.mark.parametrize("name", PROMPTS)
def test_half_a_million_values(server: ServerProcess, watch: Watch, name: str) -> None:
    request = completion(prompt=PROMPTS[name]())
    with watch(server):
        assert answer(server, request)[0] == 400


def test_a_prompt_of_a_long_contexts_token_ids_is_read(server: ServerProcess, watch: Watch) -> None:
    with watch(server):
        status, text = answer(server, completion(prompt=[300] * 128_000))
    assert status == 400
    assert json.loads(text)["error"]["code"] == "context_length_exceeded"


def test_the_number_of_loaded_adapters_is_limited(server: ServerProcess, watch: Watch) -> None:
    names = [f"{number:a>256}" for number in range(70)]
    with watch(server):
        found = [answer(server, (LOAD, body(lora_name=name))) for name in names]
        assert [status for status, _ in found] == [200] * 64 + [400] * 6
        assert b"Unload one first" in found[-1][1]
        assert answer(server, completion(model="a" * 200))[0] == 404
        assert answer(server, (UNLOAD, body(lora_name=names[0])))[0] == 200
        assert answer(server, (LOAD, body(lora_name=names[-1])))[0] == 200
