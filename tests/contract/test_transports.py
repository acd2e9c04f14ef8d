"""The properties of every transport: direct on both event loops, and over clients of httpx2 and httpx."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest
import trio
import uvloop

from sdk.deadline import Deadline, Timeouts
from sdk.errors import (
    ConnectError,
    ConnectionLostError,
    FirstByteTimeoutError,
    ProtocolError,
    SDKError,
    StallTimeoutError,
    TLSError,
    TotalTimeoutError,
)
from sdk.transport.base import AsyncTransport, Head, Origin, Request, Transport
from sdk.transport.blocking import BlockingTransport
from sdk.transport.direct import DirectTransport
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.certificates import client_context, server_context
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
    """The owner of a given client closes it."""

    def __init__(self, client: Any, kind: type[Any]) -> None:
        self._client = client
        self._transport = kind(client)

    def send(self, request: Request, deadline: Deadline) -> Any:
        return self._transport.send(request, deadline)

    def close(self) -> None:
        self._client.close()

    async def aclose(self) -> None:
        await self._client.aclose()


def _trusting() -> dict[str, Fetch]:
    """Every transport, trusting the authority of the tests."""
    direct = {"ssl_context": client_context()}
    client = {"verify": client_context()}
    return {
        "direct-asyncio": _async_fetch(asyncio.run, lambda: DirectTransport(**direct)),
        "direct-uvloop": _async_fetch(uvloop.run, lambda: DirectTransport(**direct)),
        "direct-sync": _fetch(lambda: BlockingTransport(**direct)),
        "httpx2-async": _async_fetch(asyncio.run, lambda: _Given(httpx2.AsyncClient(**client), AsyncHttpxTransport)),
        "httpx2-trio": _async_fetch(
            lambda coroutine: trio.run(lambda: coroutine),
            lambda: _Given(httpx2.AsyncClient(**client), AsyncHttpxTransport),
        ),
        "httpx2-sync": _fetch(lambda: _Given(httpx2.Client(**client), HttpxTransport)),
        "httpx-async": _async_fetch(asyncio.run, lambda: _Given(httpx.AsyncClient(**client), AsyncHttpxTransport)),
        "httpx-sync": _fetch(lambda: _Given(httpx.Client(**client), HttpxTransport)),
    }


FETCHES = _trusting()
# as they come, with nothing given
PLAIN = FETCHES | {
    "httpx2-async": _async_fetch(asyncio.run, AsyncHttpxTransport),
    "httpx2-sync": _fetch(HttpxTransport),
}


@pytest.fixture(params=PLAIN)
def fetch(request: pytest.FixtureRequest) -> Fetch:
    return PLAIN[request.param]


@pytest.fixture(params=FETCHES)
def fetch_tls(request: pytest.FixtureRequest) -> Fetch:
    return FETCHES[request.param]


def post(server: WireServer, body: bytes = b"{}") -> Request:
    headers = (("Content-Type", "application/json"), ("Accept-Encoding", "identity"))
    scheme = server.url.partition(":")[0]
    return Request("POST", Origin(scheme, "127.0.0.1", server.port), "/v1/x?y=1", headers, body)


def played(*actions: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """Answers the requests of a connection in turn, then waits for the client to close."""

    def play(peer: Peer) -> None:
        for action in actions:
            if peer.read_request():
                action(peer)
        peer.wait_closed()

    return play


def test_the_request_arrives_unchanged(fetch: Fetch) -> None:
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


def test_a_refused_connection(fetch: Fetch) -> None:
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


def test_tls(fetch_tls: Fetch) -> None:
    play = played(
        lambda peer: peer.answer(b"hello"),
        lambda peer: peer.send(HEADERS + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
        lambda peer: peer.answer(b"a" * 1_000_000),
    )
    with WireServer(play, server_context()) as server:
        answers = fetch_tls([post(server)] * 3, Timeouts())
        assert [body for _, body in answers] == [b"hello", b"hello", b"a" * 1_000_000]
        assert server.connections == 1


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (lambda peer: (peer.send(HEADERS + b"5\r\nhel"), peer.close()), ConnectionLostError),
        (lambda peer: peer.send(HEADERS + b"1\r\nx\r\n"), StallTimeoutError),
    ],
    ids=["cut", "stall"],
)
def test_tls_answers_that_break(fetch_tls: Fetch, action: Callable[[Peer], None], kind: type[SDKError]) -> None:
    with WireServer(played(action), server_context()) as server, pytest.raises(kind):
        fetch_tls([post(server)], Timeouts(stall=0.3))


@pytest.mark.parametrize("make", ["direct-asyncio", "direct-uvloop", "direct-sync", "httpx2-async", "httpx2-sync"])
def test_a_certificate_that_is_not_trusted(make: str) -> None:
    untrusting: dict[str, Fetch] = {
        "direct-asyncio": _async_fetch(asyncio.run, DirectTransport),
        "direct-uvloop": _async_fetch(uvloop.run, DirectTransport),
        "direct-sync": _fetch(BlockingTransport),
        "httpx2-async": PLAIN["httpx2-async"],
        "httpx2-sync": PLAIN["httpx2-sync"],
    }
    with WireServer(lambda peer: peer.wait_closed(), server_context()) as server:
        with pytest.raises(TLSError, match="no TLS connection to https://127") as caught:
            untrusting[make]([post(server)], Timeouts())
        assert "CERTIFICATE_VERIFY_FAILED, unable to get local issuer certificate; to trust it" in str(caught.value)


def test_a_certificate_of_another_host(fetch_tls: Fetch) -> None:
    elsewhere = server_context("elsewhere.example")
    with WireServer(lambda peer: peer.wait_closed(), elsewhere) as server, pytest.raises(TLSError):
        fetch_tls([post(server)], Timeouts())


def test_a_server_that_speaks_plain_http(fetch_tls: Fetch) -> None:
    def play(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with WireServer(play) as server, pytest.raises((TLSError, ConnectionLostError)):
        fetch_tls([Request("GET", Origin("https", "127.0.0.1", server.port), "/")], Timeouts())


def test_an_asgi_application_without_a_socket() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app))
    fetch = _async_fetch(asyncio.run, lambda: _Given(client, AsyncHttpxTransport))
    [(head, body)] = fetch([Request("GET", Origin("http", "app", 80), "/v1/models")], Timeouts())
    assert (head.status, body) == (200, b"/v1/models")


def test_a_mock_transport() -> None:
    client = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(201, text=request.method)))
    fetch = _fetch(lambda: _Given(client, HttpxTransport))
    [(head, body)] = fetch([Request("POST", Origin("http", "mock", 80), "/")], Timeouts())
    assert (head.status, body) == (201, b"POST")


def test_closing_early_closes_the_connection() -> None:
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
    """After `[DONE]` the end of the body follows immediately, and the connection is kept."""

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
