"""What every transport does alike: direct on both event loops, and over clients of httpx2 and httpx."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import uvloop

from sdk.deadline import Deadline, Timeouts
from sdk.errors import (
    ConnectError,
    ConnectionLostError,
    FirstByteTimeoutError,
    ProtocolError,
    SDKError,
    StallTimeoutError,
    TotalTimeoutError,
)
from sdk.transport.base import AsyncTransport, Head, Origin, Request, Transport
from sdk.transport.blocking import BlockingTransport
from sdk.transport.direct import DirectTransport
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.wire import HEADERS, Peer, WireServer

Fetch = Callable[[list[Request], Timeouts], list[tuple[Head, bytes]]]


def _async_fetch(run: Callable[[Any], Any], make: Callable[[], AsyncTransport]) -> Fetch:
    async def fetch(requests: list[Request], timeouts: Timeouts) -> list[tuple[Head, bytes]]:
        transport = make()
        try:
            answers = []
            for request in requests:
                exchange = await transport.send(request, Deadline(timeouts))
                body = b""
                while (block := await exchange.read()) is not None:
                    body += block.data
                await exchange.aclose()
                answers.append((exchange.head, body))
            return answers
        finally:
            await transport.aclose()

    return lambda requests, timeouts: run(fetch(requests, timeouts))


def _fetch(make: Callable[[], Transport]) -> Fetch:
    def fetch(requests: list[Request], timeouts: Timeouts) -> list[tuple[Head, bytes]]:
        transport = make()
        try:
            answers = []
            for request in requests:
                exchange = transport.send(request, Deadline(timeouts))
                body = b""
                while (block := exchange.read()) is not None:
                    body += block.data
                exchange.close()
                answers.append((exchange.head, body))
            return answers
        finally:
            transport.close()

    return fetch


class _Given:
    """A client that is given is its owner's to close."""

    def __init__(self, kind: type[Any], transport: type[Any]) -> None:
        self.client = kind()
        self.transport = transport(self.client)

    def send(self, request: Request, deadline: Deadline) -> Any:
        return self.transport.send(request, deadline)

    def close(self) -> None:
        self.client.close()

    async def aclose(self) -> None:
        await self.client.aclose()


FETCHES: dict[str, Fetch] = {
    "direct-asyncio": _async_fetch(asyncio.run, DirectTransport),
    "direct-uvloop": _async_fetch(uvloop.run, DirectTransport),
    "direct-sync": _fetch(BlockingTransport),
    "httpx2-async": _async_fetch(asyncio.run, AsyncHttpxTransport),
    "httpx2-sync": _fetch(HttpxTransport),
    "httpx-async": _async_fetch(asyncio.run, lambda: _Given(httpx.AsyncClient, AsyncHttpxTransport)),
    "httpx-sync": _fetch(lambda: _Given(httpx.Client, HttpxTransport)),
}


@pytest.fixture(params=FETCHES)
def fetch(request: pytest.FixtureRequest) -> Fetch:
    return FETCHES[request.param]


def post(server: WireServer, body: bytes = b"{}") -> Request:
    headers = (("Content-Type", "application/json"), ("Accept-Encoding", "identity"))
    return Request("POST", Origin("http", "127.0.0.1", server.port), "/v1/x?y=1", headers, body)


def played(*actions: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """Answers the requests of a connection in turn, then waits for the client to close."""

    def play(peer: Peer) -> None:
        for action in actions:
            if peer.read_request():
                action(peer)
        peer.wait_closed()

    return play


def test_the_request_arrives_as_it_was_given(fetch: Fetch) -> None:
    seen: list[bytes] = []

    def play(peer: Peer) -> None:
        seen.append(peer.read_request())
        peer.answer(b"{}")

    with WireServer(play) as server:
        fetch([post(server, "浙江".encode())], Timeouts())
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/x?y=1 HTTP/1.1"
    assert body == "浙江".encode()
    fields = {line.partition(b":")[0].lower(): line.partition(b":")[2].strip() for line in lines[1:]}
    assert fields[b"content-length"] == b"6"
    assert fields[b"accept-encoding"] == b"identity"
    assert fields[b"host"] == b"127.0.0.1:%d" % server.port


@pytest.mark.parametrize(
    "action",
    [
        lambda peer: peer.answer(b"hello"),
        lambda peer: peer.send(HEADERS + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
        lambda peer: (peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\nhello"), peer.close()),
        lambda peer: (peer.send(b"HTTP/1.1 100 Continue\r\n\r\n"), peer.answer(b"hello")),
    ],
    ids=["length", "chunked", "until close", "interim"],
)
def test_bodies_of_every_framing(fetch: Fetch, action: Callable[[Peer], None]) -> None:
    with WireServer(played(action)) as server:
        [(head, body)] = fetch([post(server)], Timeouts())
    assert (head.status, body) == (200, b"hello")


def test_an_error_status_is_an_answer(fetch: Fetch) -> None:
    with WireServer(played(lambda peer: peer.answer(b"no", "503 Busy", "Retry-After: 7"))) as server:
        [(head, body)] = fetch([post(server)], Timeouts())
    assert (head.status, head.headers["retry-after"], body) == (503, "7", b"no")


def test_connections_are_kept(fetch: Fetch) -> None:
    with WireServer(played(*[lambda peer: peer.answer(b"hello")] * 3)) as server:
        assert [body for _, body in fetch([post(server)] * 3, Timeouts())] == [b"hello"] * 3
        assert server.connections == 1


def test_a_connection_that_the_server_closes_is_not_used_again(fetch: Fetch) -> None:
    closing = played(lambda peer: peer.answer(b"hello", headers="Connection: close"))
    with WireServer(closing) as server:
        fetch([post(server)] * 2, Timeouts())
        assert server.connections == 2


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (lambda peer: peer.close(), ConnectionLostError),
        (lambda peer: peer.reset(), ConnectionLostError),
        (lambda peer: (peer.send(HEADERS + b"5\r\nhel"), peer.close()), ConnectionLostError),
        (lambda peer: (peer.send(HEADERS + b"5\r\nhello\r\n"), peer.close()), ConnectionLostError),
        (lambda peer: (peer.send(HEADERS + b"5\r\nhello\r\n"), peer.reset()), ConnectionLostError),
        (
            lambda peer: (peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), peer.close()),
            ConnectionLostError,
        ),
        (lambda peer: (peer.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), peer.close()), ProtocolError),
    ],
    ids=["closed", "reset", "cut in a chunk", "cut between chunks", "reset half-way", "cut in a length", "not HTTP"],
)
def test_answers_that_break(fetch: Fetch, action: Callable[[Peer], None], kind: type[SDKError]) -> None:
    with WireServer(played(action)) as server, pytest.raises(kind):
        fetch([post(server)], Timeouts())


def test_nobody_there(fetch: Fetch) -> None:
    with WireServer(lambda peer: None) as server:
        request = post(server)
    with pytest.raises(ConnectError, match=r"nothing answers at http://127\.0\.0\.1.*connection refused"):
        fetch([request], Timeouts())


def test_a_name_that_does_not_exist(fetch: Fetch) -> None:
    with pytest.raises(ConnectError, match="does not resolve"):
        fetch([Request("GET", Origin("http", "no-such-host.invalid", 80), "/")], Timeouts())


@pytest.mark.parametrize(
    ("action", "timeouts", "kind"),
    [
        (lambda peer: None, Timeouts(first_byte=0.2), FirstByteTimeoutError),
        (lambda peer: None, Timeouts(total=0.2), TotalTimeoutError),
        (lambda peer: peer.send(HEADERS + b"1\r\nx\r\n"), Timeouts(stall=0.2), StallTimeoutError),
        (lambda peer: peer.send(HEADERS + b"1\r\nx\r\n"), Timeouts(first_byte=0.1, stall=0.3), StallTimeoutError),
        (lambda peer: peer.send(HEADERS + b"1\r\nx\r\n"), Timeouts(total=0.2), TotalTimeoutError),
    ],
    ids=["first byte", "total, no answer", "stall", "stall after the first byte", "total, half-way"],
)
def test_time_limits(fetch: Fetch, action: Callable[[Peer], None], timeouts: Timeouts, kind: type[SDKError]) -> None:
    with WireServer(played(action)) as server, pytest.raises(kind):
        fetch([post(server)], timeouts)


def test_a_large_body_in_both_directions(fetch: Fetch) -> None:
    size = 3 * 1024 * 1024
    with WireServer(played(lambda peer: peer.answer(b"a" * size))) as server:
        [(_, body)] = fetch([post(server, b"b" * size)], Timeouts())
    assert len(body) == size


def test_closing_early_tells_the_server() -> None:
    gone = threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        peer.chunk(b"data: 1\n\n")
        peer.wait_closed()
        gone.set()

    async def leave(make: Callable[[], AsyncTransport]) -> None:
        transport = make()
        exchange = await transport.send(post(server), Deadline(Timeouts()))
        assert await exchange.read() is not None
        await exchange.aclose()
        assert await asyncio.to_thread(gone.wait, 10)
        await transport.aclose()

    makes: list[Callable[[], AsyncTransport]] = [DirectTransport, AsyncHttpxTransport]
    for make in makes:
        gone.clear()
        with WireServer(play) as server:
            asyncio.run(leave(make))


def test_finishing_keeps_the_connection() -> None:
    """`[DONE]` was read and the end of the body was not: it follows at once, and the connection lives on."""

    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.send(HEADERS)
            peer.chunk(b"data: [DONE]\n\n")
            peer.end()

    async def thrice(make: Callable[[], AsyncTransport]) -> None:
        transport = make()
        for _ in range(3):
            exchange = await transport.send(post(server), Deadline(Timeouts()))
            assert await exchange.read() is not None
            await exchange.finish()
            if isinstance(transport, DirectTransport):  # it does not wait in `finish`, so wait here
                assert await exchange.read() is None
        await transport.aclose()

    makes: list[Callable[[], AsyncTransport]] = [DirectTransport, AsyncHttpxTransport]
    for make in makes:
        with WireServer(play) as server:
            asyncio.run(thrice(make))
            assert server.connections == 1
