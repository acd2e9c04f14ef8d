"""Servers that answer before they have read the request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sdk import AsyncInferenceClient, InferenceClient, RetryPolicy, StatusError, Timeouts
from sdk.deadline import Deadline
from sdk.errors import AnswerTooLargeError, ConnectionLostError, ProtocolError, SDKError, TotalTimeoutError
from sdk.transport.base import Origin, Request
from sdk.transport.blocking import BlockingTransport
from tests.support.certificates import client_context, server_context
from tests.support.wire import Peer, WireServer
from tests.unit.sdk.api import CHAT

LARGE = b"x" * (50 << 20)
REFUSAL = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large"


@contextmanager
def saying(*words: bytes, tls: bool = False, close: bool = False) -> Iterator[WireServer]:
    """A server that sends this on each connection, and reads nothing."""
    over = threading.Event()

    def play(peer: Peer) -> None:
        for word in words:
            peer.send(word)
        if not close:
            over.wait(30)

    with WireServer(play, tls=server_context() if tls else None) as server:
        yield server
        over.set()


def send(transport: BlockingTransport, server: WireServer, limit_s: float = 30) -> tuple[int, bytes]:
    scheme = server.url.partition(":")[0]
    request = Request("POST", Origin(scheme, "127.0.0.1", server.port), "/", body=LARGE)
    exchange = transport.send(request, Deadline(Timeouts(total=limit_s)))
    body = b""
    while (block := exchange.read()) is not None:
        body += block.data
    return exchange.head.status, body


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "words", [(REFUSAL,), (b"HTTP/1.1 100 Continue\r\n\r\n", REFUSAL[:20], REFUSAL[20:])], ids=["whole", "in-pieces"]
)
def test_an_early_error_is_read_while_the_server_waits(words: tuple[bytes, ...], tls: bool) -> None:
    transport = BlockingTransport(ssl_context=client_context())
    with saying(*words, tls=tls) as server:
        assert send(transport, server) == (413, b"too large")
        assert (transport.pool.in_use, transport.pool.idle) == (0, 0)


@pytest.mark.parametrize(
    ("words", "close", "kind"),
    [
        ((), False, TotalTimeoutError),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), False, TotalTimeoutError),
        ((), True, ConnectionLostError),
        ((b"SSH-2.0-OpenSSH_9.6\r\n",), False, ProtocolError),
    ],
    ids=["silence", "continue", "close", "no-http"],
)
def test_other_behaviour_of_a_server_that_reads_nothing(
    words: tuple[bytes, ...], close: bool, kind: type[SDKError]
) -> None:
    transport = BlockingTransport()
    with saying(*words, close=close) as server:
        with pytest.raises(kind):
            send(transport, server, 0.5)
        assert (transport.pool.in_use, transport.pool.idle) == (0, 0)


JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"


@pytest.mark.timeout(60)
def test_a_long_early_answer_is_read_like_any_other() -> None:
    def play(peer: Peer) -> None:
        peer.send(JSON_HEAD)
        while True:
            peer.send(CHUNK)

    with (
        WireServer(play) as server,
        InferenceClient(server.url, retries=RetryPolicy(0)) as client,
        pytest.raises(AnswerTooLargeError),
    ):
        client.chat("m", LARGE.decode())


@pytest.mark.timeout(60)
def test_a_server_that_keeps_sending_does_not_hide_that_time_is_up() -> None:
    over = threading.Event()

    def play(peer: Peer) -> None:
        peer.send(JSON_HEAD)
        while not over.wait(0.001):
            peer.send(b"1\r\n \r\n")

    transport = BlockingTransport()
    with WireServer(play) as server:
        with pytest.raises(TotalTimeoutError):
            send(transport, server, 0.5)
        over.set()
        assert (transport.pool.in_use, transport.pool.idle) == (0, 0)


def play_late(peer: Peer) -> None:
    """Answers in the end, but begins to read only after the limits of the test have passed."""
    time.sleep(1.5)
    last = b""
    while not last.endswith(b"}"):  # faster than `read_request`, which is for small ones
        last = peer._socket.recv(1 << 20)
    peer.answer(CHAT)
    peer.wait_closed()


LIMITS = Timeouts(connect=1, first_byte=1)


def sync_ask(url: str) -> str:
    with InferenceClient(url, timeout=LIMITS) as client:
        return client.chat("m", LARGE.decode()).choices[0].message.content


def async_ask(url: str) -> str:
    async def main() -> str:
        async with AsyncInferenceClient(url, timeout=LIMITS) as client:
            return (await client.chat("m", LARGE.decode())).choices[0].message.content

    return asyncio.run(main())


@pytest.mark.parametrize("ask", [sync_ask, async_ask])
def test_connect_and_first_byte_limits_do_not_include_sending(ask: Callable[[str], str]) -> None:
    with WireServer(play_late) as server:
        assert ask(server.url) == "hi"


def test_a_connection_with_an_unfinished_request_is_not_reused() -> None:
    over = threading.Event()

    def play(peer: Peer) -> None:
        if peer.number == 1:
            peer.send(REFUSAL)
            over.wait(30)
        while peer.read_request():
            peer.answer(CHAT)

    async def main(url: str) -> None:
        async with AsyncInferenceClient(url) as client:
            with pytest.raises(StatusError, match="too large"):
                await client.chat("m", LARGE.decode())
            assert (await client.chat("m", "q")).choices
        over.set()

    with WireServer(play) as server:
        asyncio.run(main(server.url))
        assert server.connections == 2
