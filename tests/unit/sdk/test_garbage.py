"""Whatever a server sends, the parsers end, raise only SDK errors, and need little memory."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import PydanticSerializationError

from sdk.call import decode
from sdk.chunks import ChatCompletionStreamResponse, CompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.error_body import status_error
from sdk.errors import SDKError
from sdk.sse import EventDecoder
from sdk.stream_reader import StreamReader
from sdk.transport.base import Block, Head, Origin, Request
from sdk.transport.http1 import ResponseParser
from sdk.types import ChatCompletionResponse, CompletionResponse, ModelList

# what the parts of an answer are called
FIELDS = (
    *("choices", "index", "delta", "message", "role", "content", "text", "type", "finish_reason", "usage", "object"),
    *("tool_calls", "function", "function_call", "name", "arguments", "id", "refusal"),
    *("reasoning", "reasoning_content", "thinking", "summary", "value"),
    *("error", "detail", "code", "param", "loc", "msg"),
)
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HTTP_WORDS = [
    b"HTTP/1.1 200 OK\r\n",
    b"\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"Content-Length: 3\r\n",
    b"\x00",
    b"ffffffff\r\n",
]
SSE_WORDS = [b"data: ", b"\n", b"\r", b"\n\n", b'{"choices":[]}', b"[DONE]", b"\xff\xfe", b"event: error", b":", b"{"]
words, events = st.sampled_from(HTTP_WORDS), st.sampled_from(SSE_WORDS)


@given(st.lists(words | st.binary(max_size=20), max_size=30), st.booleans())
@example([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1"], False)
def test_the_response_parser(reads: list[bytes], after_a_head: bool) -> None:
    parser = ResponseParser()
    body = 0
    try:
        if after_a_head:
            parser.feed(HEAD)
        for data in reads:
            body += len(parser.feed(data))
        parser.feed_eof()
        assert parser.complete
    except SDKError:
        pass
    assert body <= sum(map(len, reads))


@given(st.lists(events | st.binary(max_size=20), max_size=40))
def test_the_event_decoder_and_the_stream_reader(blocks: list[bytes]) -> None:
    decoder = EventDecoder(max_event_bytes=200)
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    given_bytes = sum(map(len, blocks))
    try:
        found = [event for block in blocks for event in decoder.feed(block)] + decoder.feed_eof()
        assert sum(map(len, found)) <= given_bytes
    except SDKError:
        pass
    try:
        for block in blocks:
            reader.feed(Block(block, 0))
        reader.feed_eof()
        assert reader.done or reader.finish_reasons
    except SDKError:
        pass


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, "", 0, 1, -1, 2.5, True, False, "x", "0", "{}", '{"x":1}', "{", "text", "thinking", 10**30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=12,
)
CHOICES = st.lists(
    st.fixed_dictionaries(
        {}, optional={"index": VALUES, "delta": VALUES, "message": VALUES, "text": VALUES, "finish_reason": VALUES}
    )
    | VALUES,
    max_size=3,
)
BODIES = st.fixed_dictionaries({}, optional={"choices": CHOICES | VALUES, "error": VALUES, "usage": VALUES}) | VALUES
# What JSON text may hold and Python's own writer does not write.
ODD_TEXTS = [
    *(b"9" * 5000, b"-1e999", b"1e999", b"NaN", b"-Infinity", b"[" * 5000, b'{"a":' * 3000 + b"1" + b"}" * 3000),
    *(b'"\\ud800"', b'"\xed\xa0\x80"', b'"%b"' % (b"9" * 5000), b"18446744073709551616", '"²"'.encode(), b'"\xff"'),
]
PLACES = [
    *(b'{"choices":[{"index":0,%b,"delta":{"content":"a"}},{"index":0,"delta":{}}]}', b'{"choices":[{"delta":{%b}}]}'),
    *(b'{"choices":[{"index":0,%b,"text":"a"},{"index":0,"text":"b"}]}', b'{"choices":[{"message":{%b}}],%b}'),
    *(b'{"choices":[{"delta":{"tool_calls":[{"function":{%b}}]}}]}', b'{"choices":[{%b,"message":{"content":"a"}}]}'),
    *(b'{"choices":[{"message":{"tool_calls":[{"function":{},%b}]}}]}', b'{"choices":[],"usage":{%b}}'),
    *(b'{"choices":[{"delta":{"content":[{"type":"text",%b}]}}]}', b'{"error":{%b}}', b'{"data":[{%b}],%b}', b"{%b}"),
    b'{"detail":[{"loc":["a"],%b,"msg":"m"}]}',
]
NAMES = (
    *("id", "index", "role", "content", "arguments", "name", "type", "finish_reason", "token_ids", "own"),
    *("error", "code", "message", "loc", "completion_tokens"),
)


REQUEST = Request("POST", Origin("http", "h", 80), "/v1/chat/completions")


@pytest.mark.parametrize("text", ODD_TEXTS, ids=lambda text: ascii(text[:12]))
def test_odd_values_in_each_place(text: bytes) -> None:
    for name in NAMES:
        for place in PLACES:
            data = place.replace(b"%b", b'"%b":%b' % (name.encode(), text))
            said = str(status_error(Head(404), data, REQUEST, "m"))
            for kind in (ChatCompletionStreamResponse, CompletionStreamResponse):
                said += all_of_events(kind, b"data: %b\n\n" % data)
            for model in (ChatCompletionResponse, CompletionResponse, ModelList):
                try:
                    said += ascii(decode(model, data, REQUEST).model_dump_json())
                except SDKError as error:
                    said += error.message
                except PydanticSerializationError as error:  # Python 3.13 reads deeper values than pydantic writes
                    said += str(error)
            assert said.replace("\n", "").isprintable()


def all_of_events(kind: type[Any], data: bytes) -> str:
    """The result as text; only SDK errors may occur."""
    reader: StreamReader[Any] = StreamReader(kind, Deadline(Timeouts(stall=1)))
    said = ""
    for read in (lambda: reader.feed(Block(data, 0)), reader.feed_eof):
        try:
            said += ascii([chunk.model_dump() for chunk in read()])
        except SDKError as error:
            said += error.message
    for answer in reader.answers:
        said += ascii([call.model_dump_json() for call in answer.tool_calls])
        said += ascii((answer, answer.reasoning, answer.refusal, answer.function_call, reader.usage))
    return said


@given(st.lists(BODIES, max_size=3), st.sampled_from([ChatCompletionStreamResponse, CompletionStreamResponse]))
def test_events_of_any_json(bodies: list[Any], kind: type[Any]) -> None:
    reader: StreamReader[Any] = StreamReader(kind, Deadline(Timeouts(stall=1)))
    try:
        for body in bodies:
            for chunk in reader.feed(Block(b"data: %b\n\n" % json.dumps(body).encode(), 0)):
                assert chunk.model_dump() == body
                assert all(isinstance(getattr(one, "delta", one), msgspec.Struct) for one in chunk.choices)
    except SDKError:
        pass
    for answer in reader.answers:
        assert all(call.function.arguments is not None for call in answer.tool_calls)
        assert (answer.text, answer.reasoning, answer.refusal, answer.function_call) is not None


@given(BODIES, st.sampled_from([ChatCompletionResponse, CompletionResponse, ModelList]), st.sampled_from([400, 404]))
def test_bodies_of_any_json(body: Any, kind: type[Any], status: int) -> None:
    data = json.dumps(body).encode()
    assert status_error(Head(status), data, REQUEST, "m").message
    try:
        answer = decode(kind, data, REQUEST)
    except SDKError:
        pass
    else:
        assert kind.model_validate_json(answer.model_dump_json()) == answer
