"""What a server sends behind an answer is never taken for the answer of the next request on that connection."""

from __future__ import annotations

from typing import Any

import pytest

from sdk import RetryPolicy
from tests.support.ways import WAYS, Asker, everywhere
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import CHAT

OPTIONS: dict[str, Any] = {"retries": RetryPolicy(0), "timeout": 20}
FORGED = CHAT.replace(b'"hi"', b'"forged"')
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def with_length(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def in_chunks(body: bytes, head: bytes = HEADERS) -> bytes:
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


WHOLE = HEADERS.replace(b"text/event-stream", b"application/json")
EXTRA: dict[str, bytes] = {
    "length": with_length(CHAT) + with_length(FORGED),
    "chunks": in_chunks(CHAT, WHOLE) + with_length(FORGED),
    "begun": with_length(CHAT) + with_length(FORGED)[:-1],
    "line end": with_length(CHAT) + b"\r\n",
    "stream": in_chunks(EVENT) + in_chunks(EVENT.replace(b'"hi"', b'"forged"')),
}


async def twice(asker: Asker) -> Any:
    return await asker.chat() + await asker.chat()


async def streamed_twice(asker: Asker) -> Any:
    return (await asker.read_all()).text + (await asker.read_all()).text


@pytest.mark.parametrize("name", EXTRA)
def test_an_answer_that_nobody_asked_for_is_nobodys(name: str) -> None:
    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.send(EXTRA[name])

    with WireServer(play) as server:
        ends = everywhere(server.url, streamed_twice if name == "stream" else twice, **OPTIONS)
    assert ends == {way.name: "hihi" for way in WAYS}
