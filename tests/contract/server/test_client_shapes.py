"""Messages and fields in the forms in which client packages send them, and answers in the forms which they need."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.contract.server.conftest import Facts
from tests.contract.server.wire import CHAT, QUESTION, answer, chat, chat_events, error_of

Message = dict[str, Any]

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"place": "Paris"}'}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "12 degrees"}
SAID = {"role": "assistant", "content": "It is mild."}


def called(**changes: Any) -> list[Message]:
    """A conversation with a call and its result, in which the call's message is changed."""
    return [*QUESTION, {"role": "assistant", "content": None, "tool_calls": [CALL], **changes}, RESULT, *QUESTION]


def arguments(text: str) -> list[Message]:
    return called(tool_calls=[{**CALL, "function": {"name": "get_weather", "arguments": text}}])


# every key of an answer's message is sent back by who keeps the message as it came
DUMPED = {"refusal": None, "annotations": [], "audio": None, "function_call": None}

CONVERSATIONS: dict[str, list[Message]] = {
    "a call without content": [*QUESTION, {"role": "assistant", "tool_calls": [CALL]}, RESULT],
    "a call with null content": called(content=None),
    "a call with an empty text": called(content=""),
    "a call with no parts": called(content=[]),
    "a call with text in parts": called(content=[{"type": "text", "text": "Let me see."}]),
    "a call as the openai package dumps it": called(**DUMPED),
    "a call as litellm dumps it": called(**DUMPED, reasoning_content="Hm.", provider_specific_fields=None),
    "a streamed call with its index": called(tool_calls=[{**CALL, "index": 0}]),
    "a call with empty arguments": arguments(""),
    # what `max_tokens` cut off, sent back with the request to do better: the conversation has to go on
    "a call with arguments cut short": arguments('{"place": "Par'),
    "a call with arguments that are no object": arguments("[1]"),
    "an answer as the openai package dumps it": [*QUESTION, {**SAID, **DUMPED, "tool_calls": None}, *QUESTION],
    "an answer with an empty list of calls": [*QUESTION, {**SAID, "tool_calls": []}, *QUESTION],
    "an answer that was empty": [*QUESTION, {"role": "assistant", "content": ""}, *QUESTION],
    "an answer that was null": [*QUESTION, {"role": "assistant", "content": None}, *QUESTION],
    "an answer that was a refusal": [
        *QUESTION,
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot say."}]},
        *QUESTION,
    ],
    "a result in parts": [*called()[:2], {**RESULT, "content": [{"type": "text", "text": "12"}]}],
    "a result with a name": [*called()[:2], {**RESULT, "name": "get_weather"}],
    "instructions from a developer": [{"role": "developer", "content": "Be brief."}, *QUESTION],
    "instructions in parts": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *QUESTION],
    "two instructions": [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        *QUESTION,
    ],
    "a part with a mark for a cache": [
        {"role": "user", "content": [{"type": "text", "text": "Hello.", "cache_control": {"type": "ephemeral"}}]}
    ],
    "an author with a name": [{**QUESTION[0], "name": "anna"}],
}

FIELDS: dict[str, dict[str, Any]] = {
    "every optional field null": dict.fromkeys(
        (
            "n",
            "stop",
            "seed",
            "user",
            "tools",
            "top_p",
            "logprobs",
            "functions",
            "logit_bias",
            "max_tokens",
            "temperature",
            "tool_choice",
            "function_call",
            "response_format",
            "stream_options",
            "presence_penalty",
            "frequency_penalty",
            "parallel_tool_calls",
            "max_completion_tokens",
        )
    ),
    "what openai's own platform knows": {
        "user": "anna",
        "store": True,
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "modalities": ["text"],
        "verbosity": "low",
        "prompt_cache_key": "key",
        "safety_identifier": "id",
    },
    "empty lists and maps": {"stop": [], "logit_bias": {}},
    "parallel calls without tools": {"parallel_tool_calls": True},
    "no tool of none": {"tool_choice": "none"},
    "a function without parameters": {"tools": [{"type": "function", "function": {"name": "now"}}]},
    "a function with null for all it can": {
        "tools": [{"type": "function", "function": {**TOOL["function"], "description": None, "strict": None}}]
    },
    "the text format": {"response_format": {"type": "text"}},
}


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations_are_accepted_in_the_forms_that_clients_send(http: httpx.Client, messages: list[Message]) -> None:
    taken = answer(http, CHAT, {"messages": messages, "tools": [TOOL], "tool_choice": "none", "max_tokens": 4})
    assert taken["usage"]["prompt_tokens"] > 0


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_fields_are_accepted_in_the_forms_that_clients_send(
    http: httpx.Client, facts: Facts, fields: dict[str, Any]
) -> None:
    if "tools" in fields and not facts.makes_sense:
        pytest.skip("a model that writes calls in a known form is needed")
    assert chat(http, **{"max_tokens": 4, **fields})["choices"][0]["finish_reason"] in ("stop", "length", "tool_calls")


def test_an_answer_has_what_clients_read_without_asking(http: httpx.Client) -> None:
    whole = chat(http, max_tokens=4)
    assert whole["object"] == "chat.completion"
    assert {"id", "created", "model", "choices", "usage"} <= whole.keys()
    (choice,) = whole["choices"]
    assert {"index", "message", "logprobs", "finish_reason"} <= choice.keys()
    assert choice["logprobs"] is None
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["refusal"] is None
    # null would do for some, but a key that is there is a call for others
    assert "tool_calls" not in choice["message"]
    assert "function_call" not in choice["message"]


def test_a_stream_has_what_clients_read_without_asking(http: httpx.Client) -> None:
    *chunks, last = chat_events(http, max_tokens=4, stream_options={"include_usage": True})
    assert {chunk["id"] for chunk in chunks} == {last["id"]}
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    # a role that is repeated, or empty, fails in clients that check it
    assert [delta["role"] for delta in deltas if "role" in delta] == ["assistant"]
    assert "role" in deltas[0]
    assert all(isinstance(delta.get("content", ""), str) for delta in deltas)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["length"]


def test_a_streamed_call_has_what_clients_read_without_asking(http: httpx.Client, facts: Facts) -> None:
    if not facts.makes_sense:
        pytest.skip("within its grammar a model of random weights may write white space for ever")
    chunks = chat_events(http, tools=[TOOL], tool_choice="required")
    pieces = [piece for chunk in chunks for piece in chunk["choices"][0]["delta"].get("tool_calls", [])]
    first, *others = pieces
    assert first.keys() == {"index", "id", "type", "function"}
    assert first["function"]["name"] == "get_weather"
    for piece in others:  # a name or an id that is repeated, empty or null is added to the first by some
        assert piece.keys() == {"index", "function"}
        assert piece["function"].keys() == {"arguments"}
    assert json.loads("".join(piece["function"]["arguments"] for piece in pieces)).keys() == {"place"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_stream_that_cannot_begin_has_a_status(http: httpx.Client) -> None:
    """Clients fall back to another model by its status; an error inside the stream comes too late for that."""
    long = [{"role": "user", "content": "word " * 50_000}]
    response = http.post(CHAT, json={"messages": long, "stream": True})
    assert error_of(response, 400)["code"] == "context_length_exceeded"
