"""Each hostile value at each place of a request: what chance would find only after a long time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.hostile_json import encoded, found_at, places, renamed, replaced
from tests.support.hostile_strategies import CHAT, COMPLETIONS, DETOKENIZE, LOAD, TOKENIZE, UNLOAD, Call
from tests.support.hostile_values import BROKEN, DEEP, DEEP_TEXT, NUMBERS

_SCHEMA = {
    "type": "object", "required": ["a"], "minProperties": 1, "additionalProperties": {"type": "null"},
    "properties": {"a": {"anyOf": [
        {"type": "string", "pattern": "^a{1,3}b?$", "minLength": 1, "maxLength": 9},
        {"type": "number", "minimum": 1, "maximum": 9.5, "multipleOf": 0.5},
        {"type": "array", "items": {"enum": ["x", 1]}, "minItems": 1, "maxItems": 3, "uniqueItems": True},
        {"$ref": "#/$defs/d"}]}},
    "$defs": {"d": {"const": {"k": 1}}},
}  # fmt: skip
_PLAIN = {"type": "object", "properties": {"a": {"type": "string"}}}
_TOOL = {"type": "function", "function": {"name": "f", "description": "d", "strict": True, "parameters": _PLAIN}}
_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
_SAMPLING = {
    "model": "sim-chat", "max_tokens": 4, "min_tokens": 1, "n": 2, "seed": 1, "stop": ["x"], "stop_token_ids": [300],
    "ignore_eos": False, "temperature": 1.0, "top_p": 0.5, "top_k": 5, "min_p": 0.1, "presence_penalty": 0.5,
    "frequency_penalty": 0.5, "repetition_penalty": 1.5, "logit_bias": {"300": 1}, "allowed_token_ids": [300, 301],
    "bad_words": ["b"], "priority": 0, "user": "u", "return_token_ids": True, "truncate_prompt_tokens": 9,
}  # fmt: skip
_USER = {"role": "user", "content": "hi"}
_BODIES: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"messages": [_USER], **_SAMPLING, "logprobs": True, "top_logprobs": 1, "prompt_logprobs": 1}),
    (CHAT, {"messages": [_USER], "max_tokens": 4, "max_completion_tokens": 4, "stream": True, "metadata": {"a": "b"},
            "stream_options": {"include_usage": True, "continuous_usage_stats": True}, "reasoning_effort": "low",
            "include_reasoning": True, "add_generation_prompt": True, "continue_final_message": False,
            "chat_template_kwargs": {"enable_thinking": True, "x": [1]}}),
    (CHAT, {"messages": [
        {"role": "system", "content": "s", "name": "n"},
        {"role": "own", "content": [{"type": "text", "text": "t"}, {"type": "refusal", "refusal": "r"},
                                    {"type": "image_url", "image_url": {"url": "http://x/", "detail": "low"}}]},
        {"role": "assistant", "content": None, "tool_calls": [_CALL]},
        {"role": "tool", "content": "r", "tool_call_id": "c"}],
        "max_tokens": 4, "tools": [_TOOL], "tool_choice": "auto", "parallel_tool_calls": True}),
    (CHAT, {"messages": [_USER], "max_tokens": 40, "tools": [_TOOL],
            "tool_choice": {"type": "function", "function": {"name": "f"}}}),
    (CHAT, {"messages": [_USER], "max_tokens": 40, "response_format": {
        "type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": _SCHEMA}}}),
    (COMPLETIONS, {"prompt": ["a", "b"], **_SAMPLING, "echo": True, "logprobs": 1, "stream": True}),
    (COMPLETIONS, {"prompt": [[300, 301], [302]], "max_tokens": 4, "structured_outputs": {"json": _PLAIN}}),
    (COMPLETIONS, {"prompt": "a", "max_tokens": 4, "structured_outputs": {"regex": "a+b"}}),
    (COMPLETIONS, {"prompt": "a", "max_tokens": 4, "structured_outputs": {"choice": ["a", "b"]}}),
    (COMPLETIONS, {"prompt": "a", "max_tokens": 4, "response_format": {"type": "json_object"}}),
    (TOKENIZE, {"messages": [_USER, {"role": "assistant", "content": "", "tool_calls": [_CALL]}], "tools": [_TOOL],
                "model": "sim-chat", "return_token_strs": True, "chat_template_kwargs": {"a": 1}}),
    (TOKENIZE, {"prompt": "a"}),
    (DETOKENIZE, {"tokens": [300, 301], "model": "sim-chat"}),
    (LOAD, {"lora_name": "placed", "lora_path": "/nowhere", "load_inplace": True}),
    (UNLOAD, {"lora_name": "placed", "lora_int_id": 1}),
]  # fmt: skip
_TEXTS = ["", "\x00", "a\u202eb", "\x1b[2J\r\n", "a" * 10_000, "{{7*7}}", "<|end|>", "None", *DEEP_TEXT[:8]]
_VALUES = [
    *NUMBERS[2:4], 10**400, -(10**400), *NUMBERS[-4:], 0, -1, 2**63, 5.5, *_TEXTS, *DEEP[:2], *DEEP[4:8], *BROKEN[:2],
    None, True, [], {}, [[]], [None] * 300, {"": None},
]  # fmt: skip


def at_each_place() -> Iterator[Call]:
    for path, body in _BODIES:
        for place in places(body):
            for value in _VALUES:
                yield Call("POST", path, encoded(replaced(body, place, value)))
            if isinstance(found_at(body, place[:-1]), dict):
                for text in _TEXTS:
                    yield Call("POST", path, encoded(renamed(body, place, text)))
