"""The blocking transport's pool, shared by threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sdk.deadline import Deadline, Timeouts
from sdk.errors import ConnectError, ConnectionLostError, PoolTimeoutError
from sdk.transport.base import Origin, Request
from sdk.transport.blocking import BlockingTransport
from tests.support.wire import Peer, WireServer


def get(server: WireServer) -> Request:
    return Request("GET", Origin("http", "127.0.0.1", server.port), "/")


def deadline(**limits: float) -> Deadline:
    return Deadline(Timeouts(**limits))


def hello(peer: Peer) -> None:
    while peer.read_request():
        peer.answer(b"hello")


def body(transport: BlockingTransport, server: WireServer, limits: Deadline | None = None) -> bytes:
    exchange = transport.send(get(server), limits or deadline())
    data = b""
    while (block := exchange.read()) is not None:
        data += block.data
    return data


def test_it_tells_what_it_holds() -> None:
    transport = BlockingTransport()
    with WireServer(hello) as server:
        exchange = transport.send(get(server), deadline())
        assert repr(transport.pool) == f"<BlockingPool http://127.0.0.1:{server.port}: 1 in use, 0 idle, 0 waiting>"
        block = exchange.read()
        assert block is not None
        assert 0 < exchange.sent_ns <= exchange.head_ns <= block.arrived_ns
        assert exchange.read() is None
        assert (transport.pool.in_use, transport.pool.idle) == (0, 1)
        transport.close()
        assert (transport.pool.in_use, transport.pool.idle) == (0, 0)


def test_threads_share_it() -> None:
    transport = BlockingTransport(max_connections=3)
    with WireServer(hello) as server, ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: body(transport, server), range(60)))
        assert answers == [b"hello"] * 60
        assert server.connections <= 3
        assert (transport.pool.in_use, transport.pool.waiting) == (0, 0)
        transport.close()


def test_a_wait_ends_in_time_and_a_freed_place_is_passed_on() -> None:
    asked, go = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        while peer.read_request():
            asked.set()
            go.wait(10)
            peer.answer(b"hello")

    transport = BlockingTransport(max_connections=1)
    with WireServer(play) as server, ThreadPoolExecutor(2) as threads:
        first = threads.submit(body, transport, server)
        assert asked.wait(10)
        with pytest.raises(PoolTimeoutError, match=r"within 0\.05 s"):
            body(transport, server, deadline(pool=0.05))
        second = threads.submit(body, transport, server)
        go.set()
        assert first.result(10) == second.result(10) == b"hello"
        assert server.connections == 1
        transport.close()


def test_a_place_that_fails_to_connect_is_passed_on() -> None:
    transport = BlockingTransport(max_connections=1)
    with WireServer(hello) as server:
        request = get(server)
    for _ in range(2):
        with pytest.raises(ConnectError):
            transport.send(request, deadline())
    assert transport.pool.in_use == 0


def closes_behind_its_back(answers: int) -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        for _ in range(answers if peer.number == 1 else 99):
            if not peer.read_request():
                return
            peer.answer(b"hello")

    return play


def test_an_idle_connection_that_ended_is_not_used() -> None:
    transport = BlockingTransport(replay=False)
    with WireServer(closes_behind_its_back(1)) as server:
        assert body(transport, server) == b"hello"
        server.peers[0].close()
        assert body(transport, server) == b"hello"
        assert server.connections == 2
        transport.close()


def test_one_free_replay() -> None:
    def play(peer: Peer) -> None:
        if peer.number == 1:
            peer.read_request()
            peer.answer(b"hello")
            peer.read_request()
        else:
            hello(peer)

    for replay in (True, False):
        transport = BlockingTransport(replay=replay)
        with WireServer(play) as server:
            body(transport, server)
            if replay:
                assert body(transport, server) == b"hello"
            else:
                with pytest.raises(ConnectionLostError):
                    body(transport, server)
            transport.close()


def test_another_thread_may_close_what_one_reads() -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        peer.wait_closed()

    transport = BlockingTransport()
    with WireServer(play) as server, ThreadPoolExecutor(1) as threads:
        exchange = transport.send(get(server), deadline())
        reading = threads.submit(exchange.read)
        exchange.close()
        with pytest.raises(ConnectionLostError):
            reading.result(10)
        assert transport.pool.in_use == 0
