"""A slow reader pauses the server: unread data waits in the sockets, not in the client."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio
import uvloop

from sdk.deadline import Deadline, Timeouts
from sdk.transport.base import Origin, Request
from sdk.transport.blocking import BlockingTransport
from sdk.transport.direct import DirectTransport
from sdk.transport.exchange import PAUSE_AT_BYTES
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.certificates import client_context, server_context
from tests.support.open_sockets import sockets_to
from tests.support.wire import HEADERS, Peer, WireServer

SEND_BUFFER = 64 * 1024
ONE_READ = 256 * 1024
SIZE = 24 * 1024 * 1024
CHUNK = bytes(range(256)) * 256


class Slow:
    """Sends a large body; `held_back` is set when the client accepts no more, and `sent` is the amount until then."""

    def __init__(self) -> None:
        self.sent = 0
        self.in_sockets = 0
        self.held_back = threading.Event()
        self.go_on = threading.Event()

    def play(self, peer: Peer) -> None:
        peer.read_request()
        connection = peer._socket
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        peer.send(HEADERS.replace(b"Transfer-Encoding: chunked", b"Content-Length: %d" % SIZE))
        left = memoryview(CHUNK * (SIZE // len(CHUNK) + 1))[:SIZE]
        connection.setblocking(False)
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        while left:
            if not poll.poll(500) and not self.held_back.is_set():
                self.sent = SIZE - len(left)
                self.in_sockets = _buffer_bytes(connection)
                for other_end in sockets_to(connection.getsockname()[1]):
                    with other_end:
                        self.in_sockets += _buffer_bytes(other_end)
                self.held_back.set()
                assert self.go_on.wait(30)
            try:
                left = left[connection.send(left[: len(CHUNK)]) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                continue
        self.held_back.set()
        peer.wait_closed()


def _buffer_bytes(connection: socket.socket) -> int:
    """The most that the kernel buffers for a socket in both directions."""
    return sum(connection.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_SNDBUF, socket.SO_RCVBUF))


def request(server: WireServer) -> Request:
    return Request("GET", Origin(server.url.partition(":")[0], "127.0.0.1", server.port), "/")


def is_intact(body: bytes) -> bool:
    return len(body) == SIZE and body == (CHUNK * (SIZE // len(CHUNK) + 1))[:SIZE]


async def read_late(make: Callable[[], Any], server: WireServer, slow: Slow, wait: Callable[..., Any]) -> bool:
    transport = make()
    exchange = await transport.send(request(server), Deadline(Timeouts()))
    blocks = [(await exchange.read()).data]
    assert await wait(slow.held_back.wait, 30)
    assert slow.sent <= PAUSE_AT_BYTES + 2 * ONE_READ + slow.in_sockets
    slow.go_on.set()
    while (block := await exchange.read()) is not None:
        blocks.append(block.data)
    await exchange.aclose()
    await transport.aclose()
    return is_intact(b"".join(blocks))


def on_asyncio(run: Callable[[Any], Any], make: Callable[[], Any]) -> Callable[[WireServer, Slow], bool]:
    return lambda server, slow: bool(run(read_late(make, server, slow, asyncio.to_thread)))


def on_trio(make: Callable[[], Any]) -> Callable[[WireServer, Slow], bool]:
    return lambda server, slow: bool(trio.run(read_late, make, server, slow, trio.to_thread.run_sync))


def blocking(make: Callable[[], Any]) -> Callable[[WireServer, Slow], bool]:
    def read(server: WireServer, slow: Slow) -> bool:
        transport = make()
        exchange = transport.send(request(server), Deadline(Timeouts()))
        blocks = [exchange.read().data]
        assert slow.held_back.wait(30)
        assert slow.sent <= PAUSE_AT_BYTES + 2 * ONE_READ + slow.in_sockets
        slow.go_on.set()
        while (block := exchange.read()) is not None:
            blocks.append(block.data)
        transport.close()
        return is_intact(b"".join(blocks))

    return read


def direct() -> DirectTransport:
    return DirectTransport(ssl_context=client_context())


READERS: dict[str, Callable[[WireServer, Slow], bool]] = {
    "direct-asyncio": on_asyncio(asyncio.run, direct),
    "direct-uvloop": on_asyncio(uvloop.run, direct),
    "direct-sync": blocking(lambda: BlockingTransport(ssl_context=client_context())),
    "httpx2-asyncio": on_asyncio(asyncio.run, AsyncHttpxTransport),
    "httpx2-trio": on_trio(AsyncHttpxTransport),
    "httpx2-sync": blocking(HttpxTransport),
}


@pytest.mark.parametrize("name", READERS)
def test_a_slow_reader_pauses_the_server_and_loses_nothing(name: str) -> None:
    slow = Slow()
    with WireServer(slow.play) as server:
        assert READERS[name](server, slow)
    assert 0 < slow.sent < SIZE


@pytest.mark.parametrize("name", [name for name in READERS if name.startswith("direct")])
def test_a_slow_reader_pauses_the_server_over_tls(name: str) -> None:
    slow = Slow()
    with WireServer(slow.play, server_context()) as server:
        assert READERS[name](server, slow)
    assert 0 < slow.sent < SIZE
