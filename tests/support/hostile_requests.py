"""Requests meant to block a server or to fill its memory; each is a path and a body."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.hostile_schemas import EXPRESSIONS, SCHEMAS

CHAT, COMPLETIONS, TOKENIZE, DETOKENIZE = "/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"
MEGABYTE = 1_000_000

Request = tuple[str, bytes]


def schema_as_format(schema: Any) -> Request:
    return COMPLETIONS, _json({"prompt": "a", "max_tokens": 5, "structured_outputs": {"json": schema}})


def schema_as_tool(schema: Any, choice: str) -> Request:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    return CHAT, _json({**_chat("a"), "tools": [tool], "tool_choice": choice, "n": 3})


def of_schemas() -> Iterator[tuple[str, Request]]:
    for name, schema in SCHEMAS.items():
        yield f"{name}, as a format", schema_as_format(schema)
        yield f"{name}, as a tool that is required", schema_as_tool(schema, "required")
        yield f"{name}, as a tool", schema_as_tool(schema, "auto")
    for name, expression in EXPRESSIONS.items():
        constraint = {"structured_outputs": {"regex": expression}}
        yield f"{name}, as an expression", (COMPLETIONS, _json({"prompt": "a", "max_tokens": 5, **constraint}))


def _list(item: bytes, count: int) -> bytes:
    return b"[" + b",".join([item] * count) + b"]"


def _chat(content: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 5, **fields}


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _called(arguments: Any) -> Request:
    """A conversation with an earlier call."""
    call = {"function": {"name": "f", "arguments": json.dumps(arguments)}}
    return CHAT, _json({"messages": [{"role": "assistant", "tool_calls": [call]}], "max_tokens": 5})


def _chat_with(field: bytes, value: bytes) -> Request:
    return CHAT, b'{"messages":[{"role":"user","content":"a"}],"max_tokens":5,"%b":%b}' % (field, value)


def _completion(**fields: Any) -> Request:
    return COMPLETIONS, _json({"prompt": "a", "max_tokens": 20, **fields})


LARGE: dict[str, Callable[[], Request]] = {
    "a chat of 30 MB of words": lambda: (CHAT, _json(_chat("hello wor " * (3 * MEGABYTE)))),
    "a chat of one word of 30 MB": lambda: (CHAT, _json(_chat("a" * 30 * MEGABYTE))),
    "a chat of 28 MB of emoji": lambda: (CHAT, _json(_chat("😀" * 7 * MEGABYTE))),
    "a chat of 2 MB that is one word": lambda: (CHAT, _json(_chat("a" * 1_900_000))),
    "a prompt of 30 MB": lambda: _completion(prompt="hello wor " * (3 * MEGABYTE)),
    "a prompt of 30 MB to be cut": lambda: _completion(prompt="a b " * (7 * MEGABYTE), truncate_prompt_tokens=9),
    "a text of 30 MB": lambda: (TOKENIZE, _json({"prompt": "hello wor " * (3 * MEGABYTE)})),
    "a text of 1 MB in words": lambda: (TOKENIZE, _json({"prompt": "hello wor " * 100_000, "return_token_strs": True})),
    "many tokens": lambda: (DETOKENIZE, b'{"tokens":%b}' % _list(b"300", 400_000)),
    "very many tokens": lambda: (DETOKENIZE, b'{"tokens":%b}' % _list(b"300", 5 * MEGABYTE)),
    "many tokens that cannot be": lambda: (DETOKENIZE, b'{"tokens":%b}' % _list(b"-1", 400_000)),
    "many messages": lambda: (CHAT, b'{"messages":%b}' % _list(b'{"role":"u","content":""}', MEGABYTE)),
    "as many messages as may be": lambda: (CHAT, b'{"messages":%b}' % _list(b'{"role":"u","content":""}', 19_000)),
    "a role of 30 MB": lambda: (CHAT, _json({"messages": [{"role": "[" * 30 * MEGABYTE, "content": "a"}]})),
    "many wrong messages": lambda: (CHAT, b'{"messages":%b}' % _list(b'{"content":3}', 19_000)),
    "many objects": lambda: _chat_with(b"x", _list(b"{}", 9 * MEGABYTE)),
    "many numbers": lambda: _chat_with(b"x", _list(b"1000", 6 * MEGABYTE)),
    "a call of 28 MB": lambda: _called({"a": "b" * 28 * MEGABYTE}),
    "a call of 2 MB that is one word": lambda: _called({"a": "b" * 1_900_000}),
    "a call of many members": lambda: _called({f"k{number}": number for number in range(900_000)}),
    "a call of many arrays": lambda: _called({"a": [[]] * 6 * MEGABYTE}),
    "a call of many numbers": lambda: _called({"a": [1] * 490_000}),
    "many calls": lambda: (CHAT, b'{"messages":[{"role":"assistant","tool_calls":%b}]}' % _list(
        b'{"function":{"name":"f","arguments":"{}"}}', 9_000)),
    "a long wish": lambda: (CHAT, _json(_chat("a", chat_template_kwargs={"reasoning_effort": "a" * 190_000}))),
    "deep nesting": lambda: _chat_with(b"x", b"[" * 9 * MEGABYTE + b"]" * 9 * MEGABYTE),
    "many escapes": lambda: _chat_with(b"x", b'"' + b'\\"' * 15 * MEGABYTE + b'"'),
    "many prompts": lambda: _completion(prompt=["a"] * 100_000),
    "as many prompts as may be": lambda: _completion(prompt=["a"] * 4_096, max_tokens=1),
    "many prompts of many choices": lambda: _completion(prompt=["a"] * 1_000, n=128),
    "many forbidden words": lambda: _completion(bad_words=[f"word{number}" for number in range(300_000)]),
    "as many forbidden words as may be": lambda: _completion(bad_words=[f"w{number}" for number in range(1_000)], n=64),
    "long forbidden words": lambda: _completion(bad_words=["a" * 1_000] * 1_000),
    "as long forbidden words as may be": lambda: _completion(prompt=["a"] * 5, bad_words=["a" * 999] * 50),
    "many biases": lambda: _completion(logit_bias={str(number): 1 for number in range(300, 9_000)}, n=64),
    "many allowed tokens": lambda: _completion(allowed_token_ids=list(range(300, 9_000)), n=64),
    "many wrong biases": lambda: _chat_with(b"logit_bias", _json({str(number): 999 for number in range(200_000)})),
    "likelihoods of a long prompt": lambda: _completion(prompt=[300] * 32_000, prompt_logprobs=20),
    "as many likelihoods as may be": lambda: _completion(prompt=[300] * 32_000, prompt_logprobs=2),
    "as many likelihoods of an echo as may be": lambda: _completion(prompt=[300] * 32_000, echo=True, logprobs=2),
    "a streamed echo with likelihoods": lambda: _completion(
        prompt=[300] * 4_700, echo=True, logprobs=20, stream=True),
    "as many choices as may be": lambda: _completion(prompt=["a"] * 32, n=128, max_tokens=100),
    "many likelihoods": lambda: _completion(n=64, logprobs=20, max_tokens=500, ignore_eos=True),
    "many long stop strings": lambda: _completion(stop=["a" * 1_000] * 16, n=64),
    "many stop strings": lambda: _completion(stop=["a"] * 300_000),
    "a long prompt of tokens": lambda: _completion(prompt=[300] * 32_000),
    "long descriptions of tools": lambda: (CHAT, _json(_chat("a", tools=[
        {"type": "function", "function": {"name": "f", "description": "word " * 5 * MEGABYTE}}]))),
    "long descriptions of tools elsewhere": lambda: (CHAT, _json(_chat("a", tools=[
        {"type": "function", "function": {"name": "f"}, "x": {"y": ["word " * 5 * MEGABYTE]}}]))),
}  # fmt: skip
