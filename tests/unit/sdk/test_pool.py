"""The direct transport's pool: turns, hand-overs, and cancellation at any await, which leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from sdk.deadline import Deadline, Timeouts
from sdk.errors import ConnectionLostError, PoolTimeoutError, TotalTimeoutError
from sdk.transport.base import Origin, Request
from sdk.transport.direct import DirectTransport
from tests.support.wire import HEADERS, Peer, WireServer

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[{"use_uvloop": False}, {"use_uvloop": True}], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", request.param


def get(server: WireServer) -> Request:
    return Request("GET", Origin("http", "127.0.0.1", server.port), "/")


def deadline(**limits: float) -> Deadline:
    return Deadline(Timeouts(**limits))


def hello(peer: Peer) -> None:
    while peer.read_request():
        peer.answer(b"hello")


class Gate:
    """Lets the server answer when the test releases it."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.left = threading.Semaphore(0)

    def play(self, peer: Peer) -> None:
        while peer.read_request():
            self.asked.release()
            self.go.acquire(timeout=10)
            peer.answer(b"hello")
        self.left.release()

    async def reached(self, gate: threading.Semaphore) -> None:
        assert await asyncio.to_thread(gate.acquire, True, 10)


async def body(transport: DirectTransport, server: WireServer, limits: Deadline | None = None) -> bytes:
    exchange = await transport.send(get(server), limits or deadline())
    data = b""
    while (block := await exchange.read()) is not None:
        data += block.data
    return data


def counts(transport: DirectTransport) -> tuple[int, int, int]:
    return transport.pool.in_use, transport.pool.idle, transport.pool.waiting


async def test_repr_shows_the_counts() -> None:
    transport = DirectTransport()
    with WireServer(hello) as server:
        exchange = await transport.send(get(server), deadline())
        assert await exchange.read() is not None
        await body(transport, server)
        assert repr(transport.pool) == f"<Pool http://127.0.0.1:{server.port}: 0 in use, 1 idle, 0 waiting>"
        await transport.aclose()
        assert counts(transport) == (0, 0, 0)


async def test_answers_that_arrive_together_are_not_mixed() -> None:
    """The connections of asyncio's own loop share one read buffer."""

    def own_number(peer: Peer) -> None:
        while peer.read_request():
            peer.send(HEADERS)
            for _ in range(50):
                peer.chunk(b"%02d" % peer.number * 2_000)
            peer.end()

    transport = DirectTransport()
    with WireServer(own_number) as server:
        bodies = await asyncio.gather(*(body(transport, server) for _ in range(20)))
        await transport.aclose()
    assert len({found[:2] for found in bodies}) == 20
    assert all(found == found[:2] * 100_000 for found in bodies)


async def test_timestamps_are_in_order() -> None:
    transport = DirectTransport()
    with WireServer(hello) as server:
        exchange = await transport.send(get(server), deadline())
        block = await exchange.read()
        assert block is not None
        assert 0 < exchange.sent_ns <= exchange.head_ns <= block.arrived_ns
        assert exchange.opened_connection
        assert not (await transport.send(get(server), deadline())).opened_connection
        await transport.aclose()


async def test_waiting_requests_are_served_in_turn() -> None:
    gate, order = Gate(), []
    transport = DirectTransport(max_connections=1)

    async def ask(number: int) -> None:
        await body(transport, server)
        order.append(number)

    with WireServer(gate.play) as server:
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(ask(number))
            await gate.reached(gate.asked)
            assert counts(transport) == (1, 0, 3)
            for _ in range(4):
                gate.go.release()
        assert order == [0, 1, 2, 3]
        assert server.connections == 1
        await transport.aclose()


async def test_waiting_has_its_own_limits() -> None:
    gate = Gate()
    transport = DirectTransport(max_connections=1)
    with WireServer(gate.play) as server:
        first = asyncio.create_task(body(transport, server))
        await gate.reached(gate.asked)
        with pytest.raises(PoolTimeoutError, match=r"became free within 0\.05 s"):
            await body(transport, server, deadline(pool=0.05))
        with pytest.raises(TotalTimeoutError):
            await body(transport, server, deadline(total=0.05))
        assert counts(transport) == (1, 0, 0)
        gate.go.release()
        assert await first == b"hello"
        await transport.aclose()


async def test_a_cancelled_request_closes_its_socket_and_frees_its_place() -> None:
    gate = Gate()
    transport = DirectTransport(max_connections=1)
    with WireServer(gate.play) as server:
        task = asyncio.create_task(body(transport, server))
        await gate.reached(gate.asked)
        waiting = asyncio.create_task(body(transport, server))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.go.release(2)
        assert await waiting == b"hello"
        await transport.aclose()
        await gate.reached(gate.left)


async def test_a_cancelled_waiter_passes_on_its_turn() -> None:
    gate = Gate()
    transport = DirectTransport(max_connections=1)
    with WireServer(gate.play) as server:
        first, second, third = (asyncio.create_task(body(transport, server)) for _ in range(3))
        await gate.reached(gate.asked)
        second.cancel()
        gate.go.release(2)
        assert await first == await third == b"hello"
        with pytest.raises(asyncio.CancelledError):
            await second
        assert counts(transport) == (0, 1, 0)
        await transport.aclose()


async def test_cancelling_after_any_number_of_steps_leaves_nothing_in_use() -> None:
    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.send(HEADERS)
            for _ in range(3):
                peer.chunk(b"data: 1\n\n")
            peer.end()

    with WireServer(play) as server:
        for warm in (False, True):
            for steps in range(12):
                transport = DirectTransport(max_connections=2)
                if warm:
                    await body(transport, server)
                tasks = [asyncio.create_task(body(transport, server)) for _ in range(4)]
                for _ in range(steps):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert (transport.pool.in_use, transport.pool.waiting) == (0, 0) or await drained(transport)
                await transport.aclose()


async def drained(transport: DirectTransport) -> bool:
    """Aborted sockets are released one turn of the loop later."""
    for _ in range(3):
        await asyncio.sleep(0)
    return (transport.pool.in_use, transport.pool.waiting) == (0, 0)


def dies_after(answers: int) -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        if peer.number == 1:
            for _ in range(answers):
                peer.read_request()
                peer.answer(b"hello")
            peer.read_request()
            return
        hello(peer)

    return play


async def test_a_dead_kept_connection_is_replaced_once() -> None:
    transport = DirectTransport()
    with WireServer(dies_after(1)) as server:
        assert await body(transport, server) == b"hello"
        assert await body(transport, server) == b"hello"
        assert server.connections == 2
        await transport.aclose()


async def test_the_replay_can_be_off_and_never_applies_to_a_new_connection() -> None:
    transport = DirectTransport(replay=False)
    with WireServer(dies_after(1)) as server:
        assert await body(transport, server) == b"hello"
        with pytest.raises(ConnectionLostError, match="before any answer"):
            await body(transport, server)
        await transport.aclose()
    with WireServer(dies_after(0)) as server:
        transport = DirectTransport()
        with pytest.raises(ConnectionLostError):
            await body(transport, server)
        assert server.connections == 1
        await transport.aclose()


async def test_idle_connections_expire() -> None:
    left = asyncio.Event()
    loop = asyncio.get_running_loop()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.answer(b"hello")
        peer.wait_closed()
        loop.call_soon_threadsafe(left.set)

    transport = DirectTransport(idle_s=0.05)
    with WireServer(play) as server:
        await body(transport, server)
        await asyncio.wait_for(left.wait(), 10)
        await transport.aclose()


async def test_a_kept_connection_with_unexpected_data_is_dropped() -> None:
    spoke = threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.answer(b"hello")
        if peer.number == 1:
            peer.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        peer.wait_closed()
        spoke.set()

    transport = DirectTransport()
    with WireServer(play) as server:
        await body(transport, server)
        assert await asyncio.to_thread(spoke.wait, 10)
        assert await body(transport, server) == b"hello"
        assert server.connections == 2
        await transport.aclose()


async def test_many_concurrent_requests_leave_a_clean_pool() -> None:
    transport = DirectTransport()

    async def leave_early(number: int) -> None:
        exchange = await transport.send(get(server), deadline())
        if number % 3:
            while await exchange.read() is not None:
                pass
        else:
            exchange.close()

    tasks: list[Awaitable[None]] = []
    with WireServer(hello) as server:
        tasks = [leave_early(number) for number in range(60)]
        await asyncio.gather(*tasks)
        await drained(transport)
        assert transport.pool.in_use == 0
        await transport.aclose()
        assert counts(transport) == (0, 0, 0)
