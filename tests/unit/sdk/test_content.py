"""Content as lists of typed parts, streamed and whole: text, reasoning and refusals are told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sdk import ChatCompletionResponse, ProtocolError
from sdk.chunks import ChatCompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.messages import plain_messages
from sdk.stream_reader import StreamReader
from sdk.transport.base import Block
from tests.support.wire import WireServer
from tests.unit.sdk.api import DONE, Api
from tests.unit.sdk.streams import streamed_async, streamed_sync

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
# (message or delta, content, reasoning, refusal)
MESSAGES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}]}, "yes", "hm", ""),
    (
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]}]},
        "",
        "hm",
        "",
    ),
    (
        {
            "content": [
                {"type": "text", "text": "a"},
                {"type": "text", "text": " b"},
                {"type": "output_text", "text": "c"},
            ]
        },
        "a bc",
        "",
        "",
    ),
    ({"content": ["a", {"text": "b"}, {"type": "text", "text": None}]}, "ab", "", ""),
    ({"content": [{"type": "text", "text": {"value": "a", "annotations": []}}]}, "a", "", ""),
    ({"content": {"type": "text", "text": "a"}}, "a", "", ""),
    ({"content": []}, "", "", ""),
    (
        {
            "content": [
                {"type": "reasoning", "text": "a"},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "b"}]},
            ]
        },
        "",
        "ab",
        "",
    ),
    ({"content": [{"type": "reasoning", "reasoning": "a"}, {"type": "reasoning_text", "text": "b"}]}, "", "ab", ""),
    ({"content": [{"type": "refusal", "refusal": "no"}]}, "", "", "no"),
    ({"content": None, "refusal": "no"}, "", "", "no"),
    ({"content": [{"type": "text", "text": "see "}, IMAGE, {"type": "tool_use", "text": "t"}, 3]}, "see ", "", ""),
    ({"content": "yes", "reasoning_content": [{"type": "text", "text": "hm"}]}, "yes", "hm", ""),
    ({"content": "yes", "reasoning": {"content": "hm"}}, "yes", "hm", ""),
    ({"content": "yes", "reasoning": {"effort": 1}, "refusal": {}}, "yes", "", ""),
    ({"content": [{"type": "thinking", "thinking": "hm"}], "reasoning_content": "hm"}, "", "hm", ""),
    ({"content": [{"type": "thinking", "thinking": ", so"}], "reasoning": "hm"}, "", "hm, so", ""),
    ({"content": [{"type": None, "text": "a"}, {"type": "TEXT", "text": "b"}]}, "ab", "", ""),
    ({"content": [{"type": "text", "content": "a"}]}, "a", "", ""),
    ({"content": [[{"type": "text", "text": "b"}, {"type": "thinking", "thinking": "hm"}]]}, "b", "hm", ""),
    ({"content": {"answer": 42, "why": ["é"]}}, '{"answer":42,"why":["é"]}', "", ""),
    ({"content": {"value": "a", "annotations": []}}, "a", "", ""),
    ({"content": {}}, "", "", ""),
    ({"content": [{"type": ["text"], "text": "t"}, {"type": "text", "text": "a"}]}, "a", "", ""),
    ({"content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "a"}]}, "a", "", ""),
]


@pytest.mark.parametrize("streamed", [streamed_sync, streamed_async])
def test_a_stream_of_parts(streamed: Callable[..., Any]) -> None:
    api = Api(m=True)
    events = [
        b"data: %b\n\n" % json.dumps({"choices": [{"delta": {"content": [part]}}]}).encode()
        for part in (
            {"type": "thinking", "thinking": "h"},
            {"type": "thinking", "thinking": "m"},
            {"type": "text", "text": "y"},
            IMAGE,
            {"type": "text", "text": "es"},
        )
    ]
    api.chat = lambda peer, _: api.stream(peer, *events, DONE)
    with WireServer(api.play) as server:
        stream = streamed(server.url)
    assert (stream.text, stream.reasoning) == ("yes", "hm")


@pytest.mark.parametrize(("message", "content", "reasoning", "refusal"), MESSAGES)
def test_a_delta(message: dict[str, Any], content: str, reasoning: str, refusal: str) -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    body = {"choices": [{"index": 0, "delta": message}]}
    (chunk,) = reader.feed(Block(b"data: %b\n\n" % json.dumps(body).encode(), 0))
    delta = chunk.choices[0].delta
    assert (delta.content, delta.thoughts, delta.refusal or "") == (content, reasoning, refusal)
    assert (reader.first.text, reader.first.reasoning, reader.first.refusal) == (content, reasoning, refusal)
    assert chunk.model_dump() == body


@pytest.mark.parametrize(("message", "content", "reasoning", "refusal"), MESSAGES)
def test_a_whole_message(
    ask: Callable[..., Any], message: dict[str, Any], content: str, reasoning: str, refusal: str
) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(json.dumps({"choices": [{"message": message}]}).encode())
    with WireServer(api.play) as server:
        found = ask(server.url).choices[0].message
    assert (found.content, found.thoughts, found.refusal or "") == (content, reasoning, refusal)
    sent = message["content"]
    assert found.model_dump()["content_parts"] == (sent if isinstance(sent, (list, dict)) else None)
    assert "content_parts" not in plain_messages([found])[0]


def test_an_ordinary_delta_has_neither_refusal_nor_function_call() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    (chunk,) = reader.feed(Block(b'data: {"choices":[{"delta":{"content":"a","refusal":null}}]}\n\n', 0))
    assert (chunk.choices[0].delta.refusal, chunk.choices[0].delta.function_call) == (None, None)
    assert (reader.first.refusal, reader.first.function_call) == ("", None)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"message": {"content": "hi", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}}, "hi"),
        ({"delta": None, "message": {"content": [{"type": "text", "text": "hi"}]}}, "hi"),
        ({"delta": {"content": "hi"}, "message": {"content": "other"}}, "hi"),
        ({"delta": {}}, ""),
        ({}, ""),
    ],
)
def test_a_whole_message_in_a_stream_replaces_a_missing_delta(choice: dict[str, Any], says: str) -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    event = b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, **choice}]}).encode()
    (chunk,) = reader.feed(Block(event, 0))
    assert (chunk.choices[0].delta.content, reader.first.text) == (says, says)
    assert len(reader.first.tool_calls) == ("tool_calls" in choice.get("message", {}))
    reader.feed(Block(event, 0))
    assert reader.first.text in (says, says * 2 if choice.get("delta") else says)


def test_a_whole_message_that_repeats_the_streamed_text_counts_once() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    reader.feed(Block(b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n', 0))
    reader.feed(Block(b'data: {"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}\n\n', 0))
    assert (reader.first.text, reader.first.finish_reason) == ("hi", "stop")


def test_an_invalid_whole_message_in_a_stream_is_an_error() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    reader.feed(Block(b'data: {"choices":[{"message":{"content":3}}]}\n\ndata: {"choices":[{}]}\n\n', 0))
    assert isinstance(reader.failure, ProtocolError)
    assert "$.content" in str(reader.failure)


def test_calls_and_functions_of_a_whole_message(ask: Callable[..., Any]) -> None:
    calls = [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}},
        {"id": 7, "name": "g", "arguments": [1]},
        None,
    ]
    message = {"content": None, "tool_calls": calls, "function_call": {"name": "h", "arguments": {}}}
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(json.dumps({"choices": [{"message": message}]}).encode())
    with WireServer(api.play) as server:
        found = ask(server.url).choices[0].message
    assert [(call.id, call.function.name, call.function.arguments) for call in found.tool_calls] == [
        ("a", "f", '{"x":1}'),
        ("7", "g", "[1]"),
    ]
    assert (found.function_call.name, found.function_call.arguments) == ("h", "{}")


@pytest.mark.parametrize("choice", [{"message": None}, {"delta": {"content": ""}}, {"message": {"tool_calls": {}}}])
def test_a_choice_whose_message_is_empty_or_a_delta(ask: Callable[..., Any], choice: dict[str, Any]) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(json.dumps({"choices": [choice]}).encode())
    with WireServer(api.play) as server:
        message = ask(server.url).choices[0].message
    assert (message.content, message.tool_calls or []) == ("", [])


@pytest.mark.parametrize(("sent", "read"), [("", None), (5, "5"), (True, "True"), (False, None), ("x", "x")])
def test_a_finish_reason_is_the_same_whole_and_streamed(ask: Callable[..., Any], sent: Any, read: str | None) -> None:
    api = Api(m=True)
    choice = {"index": 0, "delta": {"content": "a"}, "message": {"content": "a"}, "finish_reason": sent}
    body = json.dumps({"choices": [choice]}).encode()
    api.chat = lambda peer, asked: (
        api.stream(peer, b"data: %b\n\n" % body, DONE) if asked.get("stream") else peer.answer(body)
    )
    with WireServer(api.play) as server:
        assert ask(server.url).choices[0].finish_reason == read
        assert streamed_sync(server.url).finish_reason == read


def test_the_schema_of_an_answer_says_that_the_reason_is_a_text_or_null() -> None:
    reason = ChatCompletionResponse.model_json_schema()["$defs"]["ChatCompletionResponseChoice"]["properties"]
    assert reason["finish_reason"]["anyOf"] == [{"type": "string"}, {"type": "null"}]


def test_a_call_without_arguments_has_an_empty_text(ask: Callable[..., Any]) -> None:
    api = Api(m=True)
    calls = [{"id": "a", "function": {"name": "f"}}, {"id": "b", "function": {"name": "g", "arguments": None}}]
    api.chat = lambda peer, _: peer.answer(json.dumps({"choices": [{"message": {"tool_calls": calls}}]}).encode())
    with WireServer(api.play) as server:
        assert [call.function.arguments for call in ask(server.url).choices[0].message.tool_calls] == ["", ""]
