"""The parser gives the same response however the data is split into reads."""

from __future__ import annotations

import pytest

from sdk.errors import ConfigError, ConnectionLostError, ProtocolError
from sdk.transport.base import Origin, Request
from sdk.transport.http1 import ResponseParser, encode_request

ORIGIN = Origin("http", "h", 8000)

RESPONSES = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
    "empty": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        200,
        b"hello",
        True,
    ),
    "trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n",
        200,
        b"hello",
        True,
    ),
    "close": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 200, b"hello", False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "interim": (
        b"".join(
            (
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n",
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
            )
        ),
        404,
        b"no",
        True,
    ),
}


def parse(*reads: bytes) -> tuple[ResponseParser, bytes]:
    parser, body = ResponseParser(), b""
    for data in reads:
        body += parser.feed(data)
    return parser, body


@pytest.mark.parametrize(("data", "status", "body", "keep_alive"), RESPONSES.values(), ids=RESPONSES.keys())
def test_responses_are_the_same_at_every_split(data: bytes, status: int, body: bytes, keep_alive: bool) -> None:
    for cut in range(len(data) + 1):
        parser, got = parse(data[:cut], data[cut:])
        assert parser.head is not None
        assert (parser.head.status, got, parser.complete, parser.keep_alive) == (status, body, True, keep_alive)
    parser, got = parse(*(data[i : i + 1] for i in range(len(data))))
    assert (got, parser.complete) == (body, True)


def test_headers() -> None:
    parser, _ = parse(b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\nVary: a\r\nvary:  b \r\n")
    assert parser.head is None
    parser.feed(b"Content-Length: 0\r\n\r\n")
    assert parser.head is not None
    assert parser.head.headers["vary"] == "a, b"
    assert parser.head.media_type == "text/event-stream"


def test_a_body_until_the_connection_closes() -> None:
    parser, body = parse(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    assert (body, parser.complete) == (b"hello", False)
    parser.feed_eof()
    assert (parser.complete, parser.keep_alive) == (True, False)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "before any answer"),
        (b"HTTP/1.1 200", "before any answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "in the middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "in the middle"),
    ],
)
def test_an_early_end_is_an_error(data: bytes, where: str) -> None:
    parser, _ = parse(data)
    with pytest.raises(ConnectionLostError, match=where):
        parser.feed_eof()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_data_that_is_not_http_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(data)


def test_endless_headers_are_refused() -> None:
    with pytest.raises(ProtocolError, match="headers are over"):
        parse(b"HTTP/1.1 200 OK\r\n", *([b"X: " + b"y" * 8000 + b"\r\n"] * 10))


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"junk", b"\r\n\r\n{}"])
def test_bytes_after_the_answer_end_the_connection_but_not_the_answer(extra: bytes) -> None:
    answer = RESPONSES["length"][0]
    together, body = parse(answer + extra)
    assert (body, together.complete, together.keep_alive) == (b"hello", True, False)
    apart, body = parse(answer, extra)
    assert (body, apart.complete, apart.keep_alive) == (b"hello", True, False)


def test_the_bytes_of_a_request() -> None:
    request = Request("POST", ORIGIN, "/v1/x", (("Authorization", "Bearer k"),), b"{}")
    assert encode_request(request) == (
        b"POST /v1/x HTTP/1.1\r\nHost: h:8000\r\nAuthorization: Bearer k\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert b"Content-Length" not in encode_request(Request("GET", ORIGIN, "/"))


@pytest.mark.parametrize(
    "header", [("X", "a\r\nY: b"), ("X\n", "a"), ("", "a"), ("X", "\0"), ("A B", "a"), ("X", "浙")]
)
def test_a_header_cannot_break_the_framing(header: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="header"):
        encode_request(Request("GET", ORIGIN, "/", (header,)))


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ndef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n",
    ],
)
def test_parsers_that_share_a_list_do_not_mix_their_bodies(data: bytes) -> None:
    shared: list[bytes] = []
    first, second = ResponseParser(shared), ResponseParser(shared)
    try:
        assert first.feed(data) == b"abc"
    except ProtocolError:
        assert b"101" in data
    assert second.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz") == b"xyz"
