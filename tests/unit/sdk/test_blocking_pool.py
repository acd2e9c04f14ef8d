"""The blocking transport's pool, shared by threads."""

from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic_ns

import pytest

from sdk.deadline import SECOND_NS, Deadline, Timeouts
from sdk.errors import (
    ConnectError,
    ConnectionLostError,
    PoolTimeoutError,
    StallTimeoutError,
    TotalTimeoutError,
)
from sdk.transport.base import Origin, Request
from sdk.transport.blocking import BlockingExchange, BlockingTransport
from tests.support.serving import ROOT
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import LAST, PIECE


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


def test_repr_shows_the_counts() -> None:
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


def test_threads_share_a_pool() -> None:
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


def begins(peer: Peer) -> None:
    """On the first connection, an answer without an end."""
    if peer.number > 1:
        hello(peer)
        return
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    peer.wait_closed()


def until_one_waits(transport: BlockingTransport) -> None:
    until_ns = monotonic_ns() + 30 * SECOND_NS
    while not transport.pool.waiting:
        assert monotonic_ns() < until_ns


def test_a_waiter_connects_anew_if_the_connection_it_waits_for_is_of_no_more_use() -> None:
    transport = BlockingTransport(max_connections=1)
    with WireServer(begins) as server, ThreadPoolExecutor(1) as threads:
        first = transport.send(get(server), deadline())
        second = threads.submit(body, transport, server, deadline(total=20))
        until_one_waits(transport)
        first.close()
        assert second.result(10) == b"hello"
        assert (server.connections, transport.pool.in_use) == (2, 0)
        transport.close()


def test_ctrl_c_in_the_queue_leaves_no_waiter_behind() -> None:
    transport = BlockingTransport(max_connections=1)

    main = threading.get_ident()

    def interrupt() -> None:
        until_one_waits(transport)
        while sys._current_frames()[main].f_code.co_name != "wait":  # between joining the queue and waiting in it
            pass
        signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        with WireServer(begins) as server, ThreadPoolExecutor(1) as threads:
            first = transport.send(get(server), deadline())
            interrupting = threads.submit(interrupt)
            with pytest.raises(KeyboardInterrupt):
                body(transport, server, deadline(total=30))
            interrupting.result(10)
            assert transport.pool.waiting == 0
            first.close()
            assert body(transport, server, deadline(total=30)) == b"hello"
            transport.close()
    finally:
        signal.signal(signal.SIGUSR1, before)


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


def test_a_dead_kept_connection_is_replaced_once() -> None:
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


def test_another_thread_may_close_an_exchange_during_a_read() -> None:
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


def test_a_forked_child_opens_its_own_connections_and_leaves_its_parents_alone() -> None:
    """Runs in another process: a fork of this one would copy its threads' locks."""
    program = """
import os, sys
from sdk import InferenceClient
client = InferenceClient(sys.argv[1])
client.models()
stream = client.chat_stream("m", "q")
first = next(stream).choices[0].delta.content
child = os.fork()
if not child:
    cards = client.models().data  # over a connection of the child's own
    del stream
    os._exit(0 if cards[0].id == "m" else 1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, first + "".join(chunk.choices[0].delta.content for chunk in stream), client.models().data[0].id)
"""
    asked: list[int] = []

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            if b"/models" in request:
                asked.append(peer.number)
                peer.answer(b'{"data":[{"id":"m"}]}')
            else:
                peer.send(HEADERS)
                peer.chunk(PIECE)
                again.wait(30)
                peer.chunk(LAST)
                peer.end()
            if len(asked) == 2:
                again.set()

    again = threading.Event()
    with WireServer(play) as server:
        command = [sys.executable, "-X", "dev", "-c", program, server.url]
        ended = subprocess.run(
            command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=50
        )
    assert (ended.stdout.split(), ended.stderr) == (["0", "hi!", "m"], "")
    assert asked[1] not in (asked[0], asked[2]), "the child had a connection of its own"


class Collected:
    """Closes an exchange when the garbage collector frees it, at any moment."""

    def __init__(self, exchange: BlockingExchange) -> None:
        self.exchange, self.me = exchange, self

    def __del__(self) -> None:
        self.exchange.close()


def test_the_garbage_collector_may_close_a_stream_at_any_moment() -> None:
    transport = BlockingTransport()
    with WireServer(hello) as server:

        def busy() -> None:
            for _ in range(100):
                Collected(transport.send(get(server), deadline()))
                body(transport, server)

        threshold = gc.get_threshold()
        gc.set_threshold(5, 1, 1)
        try:
            thread = threading.Thread(target=busy, daemon=True)
            thread.start()
            thread.join(50)
            assert not thread.is_alive(), "it waits for itself"
        finally:
            gc.set_threshold(*threshold)
        gc.collect()
        assert transport.pool.in_use == 0
        transport.close()


def test_a_limit_holds_while_bytes_keep_coming() -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        with contextlib.suppress(OSError):  # until the client has had enough
            while True:
                peer.chunk(b": keep-alive\n\n" * 100)

    for limits, kind in ((Timeouts(total=0.3), TotalTimeoutError), (Timeouts(stall=0.3), StallTimeoutError)):
        with WireServer(play) as server:
            exchange = BlockingTransport().send(get(server), Deadline(limits))
            with pytest.raises(kind):
                while exchange.read() is not None:
                    pass


def test_a_late_reader_gets_the_data_that_arrived_in_time() -> None:
    sent = threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        peer.chunk(b"token")
        sent.set()
        peer.wait_closed()

    with WireServer(play) as server:
        limits = deadline(stall=0.2)
        exchange = BlockingTransport().send(get(server), limits)
        assert sent.wait(10)
        limits.progress(monotonic_ns() - SECOND_NS)  # the last token was long ago
        block = exchange.read()
        assert block is not None
        assert block.data == b"token"
        exchange.close()


def test_an_early_answer_to_a_large_request_is_read() -> None:
    def play(peer: Peer) -> None:
        peer.answer(b"too large", "413 Content Too Large")
        peer.close()

    transport = BlockingTransport()
    with WireServer(play) as server:
        request = Request("POST", Origin("http", "127.0.0.1", server.port), "/", body=b"x" * (32 << 20))
        exchange = transport.send(request, deadline(total=30))
        assert exchange.head.status == 413
        exchange.close()
    assert (transport.pool.in_use, transport.pool.idle) == (0, 0)


def test_a_closed_pool_closes_returned_connections() -> None:
    transport = BlockingTransport()
    with WireServer(hello) as server:
        exchange = transport.send(get(server), deadline())
        transport.close()
        while exchange.read() is not None:
            pass
        assert (transport.pool.in_use, transport.pool.idle) == (0, 0)
        assert body(transport, server) == b"hello", "it may be used again"
        assert transport.pool.idle == 1
        transport.close()


def test_idle_connections_expire() -> None:
    transport = BlockingTransport(idle_s=0.2)
    with WireServer(hello) as server:
        exchanges = [transport.send(get(server), deadline()) for _ in range(8)]
        for exchange in exchanges:
            while exchange.read() is not None:
                pass
        assert transport.pool.idle == 8
        until_ns = monotonic_ns() + 30 * SECOND_NS
        while transport.pool.idle > 1 and monotonic_ns() < until_ns:
            body(transport, server)
        assert transport.pool.idle == 1
        transport.close()
