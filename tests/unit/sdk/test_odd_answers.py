"""Fields of unexpected types: tolerated where they do not matter to the answer, refused where they do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sdk import ProtocolError, XRequestConfig
from sdk.chunks import ChatCompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.errors import StreamServerError
from sdk.stream_reader import StreamReader
from sdk.transport.base import Block
from tests.support.wire import WireServer
from tests.unit.sdk.api import DONE, LAST, PIECE, STREAM, Api

ODD_BESIDE: list[dict[str, Any]] = [
    {"created": "x"},
    {"created": [1]},
    {"id": 3},
    {"object": {}},
    {"model": None},
    {"model": ["m"]},
    {"system_fingerprint": 3},
    {"usage": {"prompt_tokens": 1.0}},
    {"usage": {"prompt_tokens": "many", "completion_tokens": None, "prompt_tokens_details": 3}},
    {"usage": "none"},
    {"usage": []},
]
ODD_IN_CHOICES: list[dict[str, Any]] = [
    {"logprobs": "no"},
    {"finish_reason": "of_its_own"},
    {"finish_reason": 0},
    {"stop_reason": [1]},
    {"token_ids": ["a"]},
    {"token_ids": "1,2"},
    {"index": None},
    {"index": 0.0},
]
ODD_IN_DELTAS: list[dict[str, Any]] = [
    {"role": 3},
    {"reasoning": {"effort": 1}},
    {"reasoning_content": []},
    {"tool_calls": [{"index": 0, "id": 7, "type": {}, "function": {"name": "f", "arguments": "{}"}}]},
]


def bodies(part: str) -> list[dict[str, Any]]:
    """An answer with each of the oddities; `part` is the object around the content."""
    content = {"content": "odd"}
    return [
        *({"choices": [{"index": 0, part: content}], **odd} for odd in ODD_BESIDE),
        *({"choices": [{"index": 0, part: content, **odd}]} for odd in ODD_IN_CHOICES),
        *({"choices": [{"index": 0, part: content | odd}]} for odd in ODD_IN_DELTAS),
    ]


def event(payload: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(payload).encode()


@pytest.mark.parametrize("body", bodies("delta"), ids=json.dumps)
def test_a_stream_goes_on_after_an_unexpected_field(ask: Callable[..., Any], body: dict[str, Any]) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: api.stream(peer, PIECE, event(body), LAST, DONE)
    with WireServer(api.play) as server:
        chunks = ask(server.url, request_config=STREAM)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["hi", "odd", "!"]
    assert chunks[1].model_dump() == body


@pytest.mark.parametrize("body", bodies("message"), ids=json.dumps)
def test_a_whole_answer_with_an_unexpected_field_is_returned(ask: Callable[..., Any], body: dict[str, Any]) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(json.dumps(body).encode())
    with WireServer(api.play) as server:
        answer = ask(server.url)
    assert answer.choices[0].message.content == "odd"
    assert answer.usage.completion_tokens == 0


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"choices": "none"}, r"\$\.choices"),
        ({"choices": {"0": {}}}, r"\$\.choices"),
        ({"choices": ["text"]}, r"\$\.choices\[0\]"),
        ({"choices": [{"delta": "text"}]}, r"\$\.choices\[0\]\.delta"),
        ({"created": "x", "choices": [{"delta": {"content": 3}}]}, r"\$\.choices\[0\]\.delta\.content"),
        ({"choices": [{"delta": {"content": True}}]}, r"\$\.choices\[0\]\.delta\.content"),
        ({"choices": [{"index": "first", "delta": {"content": "x"}}]}, r"\$\.choices\[0\]\.index"),
        ({"choices": [{"delta": {"tool_calls": "f"}}]}, r"\$\.choices\[0\]\.delta\.tool_calls"),
        ({"choices": [{"delta": {"tool_calls": [{"function": {"name": 3}}]}}]}, r"tool_calls\[0\]\.function\.name"),
        ({"choices": [{"delta": {"function_call": "f"}}]}, "object"),
        ([], "object"),
        ("text", "object"),
    ],
)
def test_an_invalid_essential_field_in_a_stream_is_an_error(ask: Callable[..., Any], body: Any, where: str) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: api.stream(peer, PIECE, event(body), LAST, DONE)
    with (
        WireServer(api.play) as server,
        pytest.raises(ProtocolError, match=f"event 2 .* not a chunk: .*{where}") as caught,
    ):
        ask(server.url, request_config=STREAM)
    assert caught.value.partial == "hi"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "choices: field required"),
        ([], "input should be an object"),
        ({"choices": "none"}, "choices: input should be a valid array"),
        ({"choices": [{"message": "text"}]}, r"choices\[0\]\.message: input should be an object"),
        ({"choices": [{"message": {"content": 3}}]}, r"choices\[0\]\.message\.content: input should be a valid string"),
    ],
)
def test_an_invalid_essential_field_in_a_whole_answer_is_an_error(
    ask: Callable[..., Any], body: Any, where: str
) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(json.dumps(body).encode())
    with WireServer(api.play) as server, pytest.raises(ProtocolError, match=rf"not an API answer \({where}"):
        ask(server.url)


def test_an_error_in_an_odd_chunk_is_raised() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    with pytest.raises(StreamServerError, match="died"):
        reader.feed(Block(event({"id": 3, "error": {"message": "died"}}), 0))


def test_a_finish_reason_that_is_not_text_ends_the_answer() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    chunks = reader.feed(Block(event({"choices": [{"delta": {"content": "x"}, "finish_reason": 1}]}), 0))
    assert reader.feed_eof() == []
    assert chunks[0].choices[0].finish_reason == "1"


def test_usage_keeps_the_counts_that_can_be_parsed() -> None:
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    usage = {"prompt_tokens": "3", "completion_tokens": 2.0, "total_tokens": "five", "prompt_tokens_details": []}
    (chunk,) = reader.feed(Block(event({"choices": [{"delta": {}}], "usage": usage}), 0))
    for counted in (chunk.usage, reader.usage):
        assert counted is not None
        assert (counted.prompt_tokens, counted.completion_tokens, counted.total_tokens) == (3, 2, 0)


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (rb"a\ud83d", "a\ufffd"),
        (rb"\ude42b", "\ufffdb"),
        (rb"\ud83d\ud83d\ude42", "\ufffd🙂"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\\\ud83d\n", "\\\ufffd\n"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_half_a_character_does_not_end_a_stream(
    ask: Callable[..., Any], escaped: bytes, text: str, stream: bool
) -> None:
    api, part = Api(m=True), b"delta" if stream else b"message"
    body = b'{"choices":[{"index":0,"%b":{"content":"%b"}}]}' % (part, escaped)
    api.chat = lambda peer, _: api.stream(peer, b"data: %b\n\n" % body, DONE) if stream else peer.answer(body)
    with WireServer(api.play) as server:
        answer = ask(server.url, request_config=XRequestConfig(stream=stream))
    choice = answer[0].choices[0].delta if stream else answer.choices[0].message
    assert choice.content == text
    assert choice.content.encode()
