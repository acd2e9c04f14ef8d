"""The stages of a direct exchange, from the request to the end of the response, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sdk.deadline import Deadline, Timeouts
from sdk.errors import ConnectionLostError
from sdk.transport.base import Origin, Request
from sdk.transport.direct import DirectTransport
from sdk.transport.exchange import DirectExchange
from tests.support.wire import HEADERS, Peer, WireServer


def run(play: Callable[[Peer], None], use: Callable[[DirectExchange], Awaitable[None]]) -> None:
    async def main(port: int) -> None:
        transport = DirectTransport(replay=False)
        request = Request("GET", Origin("http", "127.0.0.1", port), "/")
        deadline = Deadline(Timeouts(total=10))
        connection, opened = await transport.pool.acquire(request.origin, deadline)
        await use(connection.start(b"GET / HTTP/1.1\r\n\r\n", deadline, opened=opened))
        await transport.aclose()

    with WireServer(play) as server:
        asyncio.run(main(server.port))


def whole(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEADERS)
    peer.chunk(b"hi")
    peer.end()
    peer.wait_closed()


def half(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEADERS)
    peer.chunk(b"hi")
    peer.close()


def nothing(peer: Peer) -> None:
    peer.read_request()
    peer.close()


def silent(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEADERS)
    peer.wait_closed()


def test_a_response_that_is_read_to_its_end() -> None:
    async def use(exchange: DirectExchange) -> None:
        assert exchange.stage == "head"
        await exchange.head_arrived()
        assert exchange.stage in ("body", "complete")
        while await exchange.read() is not None:
            pass
        assert exchange.stage == "complete"
        await exchange.finish()
        exchange.close()
        assert exchange.stage == "complete"

    run(whole, use)


def test_a_reader_that_leaves_before_the_end() -> None:
    async def use(exchange: DirectExchange) -> None:
        await exchange.head_arrived()
        await exchange.finish()
        assert exchange.stage == "rest"
        await exchange.finish()
        exchange.close()
        assert exchange.stage == "broken"

    run(silent, use)


def test_a_response_that_breaks_off() -> None:
    async def use(exchange: DirectExchange) -> None:
        await exchange.head_arrived()
        with pytest.raises(ConnectionLostError, match="in the middle"):
            while await exchange.read() is not None:
                pass
        assert exchange.stage == "broken"
        exchange.close()
        await exchange.finish()
        assert exchange.stage == "broken"

    run(half, use)


def test_a_request_without_an_answer() -> None:
    async def use(exchange: DirectExchange) -> None:
        with pytest.raises(ConnectionLostError, match="before any answer"):
            await exchange.head_arrived()
        assert exchange.stage == "unanswered"

    run(nothing, use)


def test_a_request_that_is_given_up() -> None:
    async def use(exchange: DirectExchange) -> None:
        exchange.close()
        with pytest.raises(ConnectionLostError, match="closed by its reader"):
            await exchange.head_arrived()
        assert exchange.stage == "unanswered"

    run(silent, use)
