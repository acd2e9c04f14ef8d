"""Answers that lie about their length, status or coding: each ends in an answer or in an error of the SDK."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from sdk import RetryPolicy, SDKError
from tests.support.ways import Asker, everywhere
from tests.support.wire import Peer, WireServer
from tests.unit.sdk.api import CHAT

OPTIONS: dict[str, Any] = {"retries": RetryPolicy(0), "timeout": 20}
BOMB = gzip.compress(b"x" * (100 << 20), 1)
LENGTH = b"Content-Length: %d" % len(CHAT)


def said(*headers: bytes, status: bytes = b"200 OK", body: bytes = CHAT) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json", *headers, b"", body]
    return b"\r\n".join(lines)


def packed(status: bytes) -> bytes:
    return said(b"Content-Encoding: gzip", b"Content-Length: %d" % len(BOMB), status=status, body=BOMB)


LIES: dict[str, bytes] = {
    "length of 23 digits": said(b"Content-Length: " + b"9" * 23),
    "length of 5,000 digits": said(b"Content-Length: " + b"9" * 5000),
    "length below zero": said(b"Content-Length: -1"),
    "length in other digits": said("Content-Length: ²".encode()),
    "two lengths": said(b"Content-Length: 5", LENGTH),
    "length and chunks": said(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    "chunk below zero": said(b"Transfer-Encoding: chunked", body=b"-5\r\nhello\r\n"),
    "chunk of 40 digits": said(b"Transfer-Encoding: chunked", body=b"f" * 40 + b"\r\nhello\r\n"),
    "204 with a body": said(LENGTH, status=b"204 No Content"),
    "no head": CHAT,
    "another version": b"HTTP/2.0 200 OK\r\n\r\n" + CHAT,
    "status 0": said(status=b"000 OK"),
    "status 99": said(LENGTH, status=b"099 OK"),
    "status of many digits": said(status=b"99999999999999 OK"),
    "another protocol": said(b"Upgrade: x", b"Connection: upgrade", status=b"101 Switching Protocols"),
    "compressed answer": packed(b"200 OK"),
    "compressed error": packed(b"400 No"),
    "compressed redirect": packed(b"302 Go"),
    "bytes in a header": said(b"X-\xff: \xff\xfe", LENGTH),
    "cookies": said(*[b"Set-Cookie: a=b; Max-Age=" + b"9" * 4500] * 8, LENGTH),
    "port of a redirect": said(b"Location: http://h:" + b"9" * 4500, b"Content-Length: 0", status=b"302 Go", body=b""),
    "name of a redirect": said(b"Location: http://xn--\xff\xfe/", b"Content-Length: 0", status=b"307 Go", body=b""),
}


async def whole(asker: Asker) -> Any:
    return await asker.chat()


async def streamed(asker: Asker) -> Any:
    return (await asker.read_all()).text


# httpx2 leaves its own inner generators to the garbage collector when a response is left early; trio remarks on it
@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object")
@pytest.mark.parametrize("program", [whole, streamed])
@pytest.mark.parametrize("name", LIES)
def test_no_lie_about_an_answer_raises_anything_else(name: str, program: Any) -> None:
    def play(peer: Peer) -> None:
        if peer.read_request():
            peer.send(LIES[name])

    with WireServer(play) as server:
        ends = everywhere(server.url, program, **OPTIONS)
    assert {way: end for way, end in ends.items() if not isinstance(end, SDKError) and end not in ("hi", "hello")} == {}
