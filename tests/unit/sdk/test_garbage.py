"""Whatever a server sends, the parsers end, raise only their own errors, and hold no more than they must."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sdk.chunks import ChatCompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.errors import SDKError
from sdk.sse import EventDecoder
from sdk.stream_reader import StreamReader
from sdk.transport.base import Block
from sdk.transport.http1 import ResponseParser

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
