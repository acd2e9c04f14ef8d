"""The decoder gives the same events however the data is split into reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdk.errors import ProtocolError
from sdk.sse import EventDecoder, TypedEvent


def decode(*blocks: bytes) -> list[bytes]:
    decoder = EventDecoder()
    events = [event for block in blocks for event in decoder.feed(block)]
    return events + decoder.feed_eof()


STREAMS = {
    "one frame": (b'data: {"a":1}\n\n', [b'{"a":1}']),
    "frames": (b"data: 1\n\ndata: 2\n\ndata: [DONE]\n\n", [b"1", b"2", b"[DONE]"]),
    "no space": (b"data:1\n\ndata: 2\n\n", [b"1", b"2"]),
    "two spaces": (b"data:  1\n\n", [b" 1"]),
    "CRLF": (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"]),
    "CR": (b"data: 1\r\rdata: 2\r\r", [b"1", b"2"]),
    "mixed ends": (b"data: 1\r\n\ndata: 2\n\r\ndata: 3\n\r", [b"1", b"2", b"3"]),
    "BOM": (b"\xef\xbb\xbfdata: 1\n\n", [b"1"]),
    "comments": (b": hi\n\n:\n\ndata: 1\n: between\n\n", [b"1"]),
    "many lines": (b"data: a\ndata: b\n\n", [b"a\nb"]),
    "id and retry": (b"id: 7\n\nretry: 10\n\nid: 8\ndata: 1\n\n", [b"1"]),
    "empty data": (b"data:\n\ndata: \n\ndata\n\ndata: 1\n\n", [b"1"]),
    "blank lines between": (b"data: 1\n\n\n\ndata: 2\n\n", [b"1", b"2"]),
    "message type": (b"event: message\ndata: 1\n\n", [b"1"]),
    "no last blank line": (b"data: 1\n\ndata: 2\n", [b"1", b"2"]),
    "no last line end": (b"data: 1\n\ndata: 2", [b"1", b"2"]),
    "unicode": ('data: 浙江\n\ndata: "🙂"\n\n'.encode(), ["浙江".encode(), '"🙂"'.encode()]),
    "an error in a field of its own": (b'error: {"message":"x"}\n\n', [b'{"message":"x"}']),
    "unknown field": (b"foo: bar\ndata: 1\n\n", [b"1"]),
    "lone BOM bytes": (b"\xef\xbb", []),
}


@pytest.mark.parametrize(("stream", "events"), STREAMS.values(), ids=STREAMS.keys())
def test_events_are_the_same_at_every_split(stream: bytes, events: list[bytes]) -> None:
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == events


def test_an_event_keeps_its_type() -> None:
    [event] = decode(b'event: error\ndata: {"message": "no"}\n\n')
    assert isinstance(event, TypedEvent)
    assert (event, event.event) == (b'{"message": "no"}', "error")
    [after] = decode(b"event: ping\n\ndata: 1\n\n")
    assert type(after) is bytes


@pytest.mark.parametrize("chunk", [b"x" * 100, b"data: " + b"x" * 100 + b"\n"])
def test_an_endless_event_is_refused(chunk: bytes) -> None:
    decoder = EventDecoder(max_event_bytes=1000)
    with pytest.raises(ProtocolError, match="over 1000 bytes"):
        for _ in range(11):
            decoder.feed(chunk)


def test_the_limit_applies_to_each_event() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    for _ in range(50):
        assert decoder.feed(b": pad\ndata: 12345678\n\n") == [b"12345678"]


def test_comments_and_ids_are_not_part_of_an_event() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    for _ in range(50):
        assert decoder.feed(b": keep-alive\nid: 7\n") == []
    assert decoder.feed(b"data: x\n\n") == [b"x"]


lines = st.lists(
    st.sampled_from([b"data: a", b"data:b", b"data", b": c", b"event: error", b"id: 1", b"", "data: é".encode(), b"x"]),
    max_size=24,
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(lines, st.data())
def test_splits_never_change_the_events(lines: list[bytes], data: st.DataObject) -> None:
    kinds = st.sampled_from(data.draw(st.lists(ends, min_size=1, max_size=3)))
    stream = b"".join(line + data.draw(kinds) for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    blocks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole, parts = decode(stream), decode(*blocks)
    assert parts == whole
    assert [getattr(e, "event", "") for e in parts] == [getattr(e, "event", "") for e in whole]
