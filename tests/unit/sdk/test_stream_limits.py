"""A stream may be long, slow or without text; one without an answer, or far over the request, is ended."""

from __future__ import annotations

from sys import getsizeof
from typing import Any

import pytest

from sdk import AnswerTooLargeError, ChatCompletionStreamResponse, ProtocolError, Timeouts
from sdk.deadline import Deadline
from sdk.stream_limits import CHECK_BYTES, MAX_ANSWERS, MAX_SILENT_BYTES, MAX_SILENT_EVENTS
from sdk.stream_reader import StreamReader
from sdk.streamed_answer import StreamedAnswer, compacted
from sdk.tool_calls import width
from sdk.transport.base import Block
from sdk.transport.http1 import MAX_HEAD_BYTES, ResponseParser

BLOCK = 64 * 1024


def reader(**limits: Any) -> StreamReader[ChatCompletionStreamResponse]:
    return StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()), **limits)


def event(delta: str, more: str = "", index: int = 0) -> bytes:
    return f'data: {{"choices":[{{"index":{index},"delta":{{{delta}}}{more}}}]}}\n\n'.encode()


def feed(stream: StreamReader[Any], data: bytes, times: int) -> int:
    """Feed events in blocks; returns the number of chunks. Raises as the stream does."""
    count, block = 0, data * max(1, BLOCK // len(data))
    for _ in range(max(1, times * len(data) // len(block))):
        count += len(stream.feed(Block(block, 0)))
        if stream.failure is not None:
            raise stream.failure
    return count


@pytest.mark.parametrize(
    "delta",
    [
        '"content":"%s"',
        '"reasoning":"%s"',
        '"refusal":"%s"',
        '"function_call":{"arguments":"%s"}',
        '"tool_calls":[{"index":0,"id":"a","function":{"arguments":"%s"}}]',
    ],
)
def test_the_memory_of_a_streams_texts_is_limited(delta: str) -> None:
    for text, size in (("x" * 100, 100), ("字" * 100, 200), ("🙂" * 100, 400)):
        stream = reader(max_bytes=2 << 20)
        feed(stream, event(delta % text), (1 << 20) // size // 2)
        with pytest.raises(AnswerTooLargeError, match="text of the stream is over 1048576 bytes"):
            feed(stream, event(delta % text), (2 << 20) // size)


def test_chunks_before_the_limit_are_returned_first() -> None:
    stream = reader(max_bytes=1000)
    chunks = stream.feed(Block(event('"content":"%s"' % ("x" * CHECK_BYTES)), 0))
    assert len(chunks) == 1
    assert isinstance(stream.failure, AnswerTooLargeError)


def test_a_text_that_is_read_during_the_stream_stays_whole() -> None:
    stream = reader()
    for _ in range(40):
        feed(stream, event('"content":"ab"'), 1000)
        assert stream.text() == "ab" * (len(stream.text()) // 2)
    assert stream.failure is None


@pytest.mark.parametrize("character", "aé字🙂")
def test_the_width_of_a_text_is_the_memory_of_each_character(character: str) -> None:
    for length in (2, 3, 100):  # Python shares texts of one character, and may keep their UTF-8 beside them
        assert width(character * length) == getsizeof(character * (length + 1)) - getsizeof(character * length)
    assert width("") == 1


def test_small_pieces_are_joined_but_large_ones_are_not() -> None:
    parts = ["x" * (1 << 20), "a", "b", "é"]
    assert compacted(parts) == (1 << 20) + 3
    assert parts == ["x" * (1 << 20), "abé"]
    answer = StreamedAnswer(0)
    answer.pieces += ["a", "🙂"]
    assert answer.compact() - StreamedAnswer(0).compact() == 8
    assert answer.text == "a🙂"


@pytest.mark.parametrize("data", [b": waiting\n" * 50, event("")])
def test_a_stream_without_any_answer_is_ended(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="in a row and nothing of an answer"):
        feed(reader(), data, 2 * MAX_SILENT_BYTES // len(data))


def test_token_ids_and_occasional_text_count_as_progress() -> None:
    count = MAX_SILENT_EVENTS * 2
    assert feed(reader(), event("", ',"token_ids":[1]'), count) > MAX_SILENT_EVENTS
    stream = reader()
    for _ in range(4):
        feed(stream, b":%b\n\n" % (b" " * 800), MAX_SILENT_BYTES // 1600)
        feed(stream, event('"content":"a"'), 10)
    assert stream.failure is None


def test_events_far_beyond_the_requested_tokens_end_the_stream() -> None:
    with pytest.raises(ProtocolError, match=r"though the request asked for 5 tokens \(max_tokens × n\)"):
        feed(reader(tokens=5), event('"content":"a"'), 20_000)
    assert feed(reader(tokens=5), event('"content":"a"'), 9_000) > 8_000
    assert feed(reader(tokens=2000), event('"content":"a"'), 30_000) > 29_000
    assert feed(reader(), event('"content":"a"'), 30_000) > 29_000


def test_the_number_of_answers_is_limited() -> None:
    stream = reader()
    stream.feed(Block(b"".join(event('"content":"a"', index=index) for index in range(MAX_ANSWERS + 1)), 0))
    assert stream.failure is None
    stream.feed(Block(event('"content":"a"', index=10**9), 0))
    assert isinstance(stream.failure, ProtocolError)
    assert "more than 16384 answers" in str(stream.failure)


def test_an_event_of_too_many_values_is_not_parsed() -> None:
    stream = reader()
    stream.feed(Block(b'data: {"choices":[{"delta":{"content":"a"},"logprobs":{"x":[', 0))
    stream.feed(Block(b"[]," * 3_000_000, 0))
    with pytest.raises(ProtocolError, match="too many values"):
        stream.feed(Block(b"0]}}]}\n\n", 0))


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_each_chunk_size_may_arrive_in_its_own_read() -> None:
    parser = ResponseParser()
    parser.feed(HEAD)
    for _ in range(MAX_HEAD_BYTES // 2):
        assert parser.feed(b"1\r\n") == b""
        assert parser.feed(b"x") == b"x"
        assert parser.feed(b"\r\n") == b""
    parser.feed(b"0\r\n\r\n")
    assert parser.complete


@pytest.mark.parametrize("begin", [b"5;", b"5", b"1\r\nx\r\n0\r\n"], ids=["extension", "size", "trailers"])
def test_chunk_extensions_and_trailers_are_limited(begin: bytes) -> None:
    parser = ResponseParser()
    parser.feed(HEAD + begin)
    block = b";a=b" if begin == b"5" else b"A: b\r\n" if begin.endswith(b"\n") else b"aaaa"
    with pytest.raises(ProtocolError, match="sizes and extensions of chunks, or the trailers, are over 65536 bytes"):
        for _ in range(MAX_HEAD_BYTES):
            parser.feed(block)


def test_the_limit_applies_to_each_response_of_a_connection() -> None:
    parser = ResponseParser()
    for _ in range(100):
        parser.begin()
        parser.feed(HEAD + b"1\r\nx\r\n0\r\n")
        parser.feed(b"A: " + b"b" * 1000 + b"\r\n\r\n")
        assert parser.complete


def test_a_header_repeated_thousands_of_times_is_joined_up_to_a_limit() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n")
    assert parser.head is not None
    assert parser.head.headers["a"].startswith("b, b, b")
    assert len(parser.head.headers["a"]) < 10_000
