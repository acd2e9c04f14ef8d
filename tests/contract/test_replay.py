"""A dead kept connection is replaced once over every transport, and never after a byte of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from sdk import AsyncInferenceClient, ConnectionLostError, InferenceClient, RetryPolicy
from sdk.transport.blocking import BlockingTransport
from sdk.transport.direct import DirectTransport
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.certificates import server_context
from tests.support.ways import TLS_WAYS, WAYS, Asker, ask, everywhere
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import CHAT, DONE, LAST, PIECE

NO_RETRIES = RetryPolicy(0)


async def twice(asker: Asker) -> list[str]:
    """A question, and another over the kept connection."""
    return [await asker.chat("first"), await asker.chat("second")]


class Dying:
    """A server that answers the first question, and does something else with the second one over the same connection.

    `asked` counts the second questions by their request ids: a replay has the id of what it repeats.
    """

    def __init__(self, *ends: Callable[[Peer], Any]) -> None:
        self._ends = ends
        self._lock = threading.Lock()
        self.asked: dict[bytes, int] = {}

    def play(self, peer: Peer) -> None:
        answered = 0
        while request := peer.read_request():
            if b'"second"' in request:
                times = self._count(request)
                if times <= len(self._ends):
                    self._ends[times - 1](peer)
                    return
            peer.answer(CHAT)
            answered += 1

    def _count(self, request: bytes) -> int:
        lines = request.lower().split(b"\r\n")
        number = next(line for line in lines if line.startswith(b"x-request-id:"))
        with self._lock:
            self.asked[number] = self.asked.get(number, 0) + 1
            return self.asked[number]


DEATHS = {"closed": Peer.close, "reset": Peer.reset}


@pytest.mark.parametrize("death", DEATHS)
def test_a_dead_kept_connection_is_replaced_once(death: str) -> None:
    dying = Dying(DEATHS[death])
    with WireServer(dying.play) as server:
        ends = everywhere(server.url, twice, retries=NO_RETRIES)
    assert {name: end for name, end in ends.items() if end != ["hi", "hi"]} == {}
    assert set(dying.asked.values()) == {2}


def test_a_dead_kept_connection_is_replaced_once_over_tls() -> None:
    dying = Dying(Peer.close)
    with WireServer(dying.play, server_context()) as server:
        ends = everywhere(server.url, twice, TLS_WAYS, retries=NO_RETRIES)
    assert {name: end for name, end in ends.items() if end != ["hi", "hi"]} == {}
    assert set(dying.asked.values()) == {2}


def test_a_dead_kept_connection_is_replaced_once_for_streams() -> None:
    def play(peer: Peer) -> None:
        answered = False
        while peer.read_request():
            if answered:
                return
            answered = True
            peer.send(HEADERS)
            for event in (PIECE, LAST, DONE):
                peer.chunk(event)
            peer.end()

    async def streams(asker: Asker) -> list[str]:
        return [(await asker.read_all()).text for _ in range(3)]

    with WireServer(play) as server:
        ends = everywhere(server.url, streams, retries=NO_RETRIES)
    assert {name: end for name, end in ends.items() if end != ["hi!"] * 3} == {}


def test_a_request_is_not_sent_a_third_time() -> None:
    dying = Dying(Peer.close, Peer.close)
    with WireServer(dying.play) as server:
        ends = everywhere(server.url, twice, retries=NO_RETRIES)
    assert {name: type(end) for name, end in ends.items() if type(end) is not ConnectionLostError} == {}
    assert set(dying.asked.values()) == {2}


@pytest.mark.parametrize(
    "byte",
    [b"H", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 100 Continue\r\n\r\n", HEADERS, HEADERS + b"5\r\nhel"],
    ids=["one byte", "half a head", "an interim answer", "a head", "half a body"],
)
def test_a_request_is_not_sent_again_once_a_byte_came_back(byte: bytes) -> None:
    def begin(peer: Peer) -> None:
        peer.send(byte)
        peer.close()

    dying = Dying(begin)
    with WireServer(dying.play) as server:
        ends = everywhere(server.url, twice, retries=NO_RETRIES)
    assert {name: type(end) for name, end in ends.items() if type(end) is not ConnectionLostError} == {}
    assert set(dying.asked.values()) == {1}


def test_a_request_on_a_new_connection_is_not_resent() -> None:
    dying = Dying(Peer.close)
    with WireServer(dying.play) as server:

        async def second(asker: Asker) -> str:
            return await asker.chat("second")

        ends = everywhere(server.url, second, retries=NO_RETRIES)
    assert {name: type(end) for name, end in ends.items() if type(end) is not ConnectionLostError} == {}
    assert set(dying.asked.values()) == {1}


def test_the_replay_uses_a_new_connection_even_if_others_are_kept() -> None:
    """If one kept connection is dead, the others are too: for example, after a restart of the server."""
    together = threading.Barrier(2)

    def play(peer: Peer) -> None:
        answered = False
        while request := peer.read_request():
            if b'"stream":true' in request:
                peer.send(HEADERS)
                peer.chunk(PIECE)
                with contextlib.suppress(threading.BrokenBarrierError):
                    together.wait(10)
                for event in (LAST, DONE):
                    peer.chunk(event)
                peer.end()
            elif answered:
                return
            else:
                peer.answer(CHAT)
            answered = True

    async def program(asker: Asker) -> str:
        streams = [await asker.stream(), await asker.stream()]
        for stream in streams:
            async for _ in asker.read(stream):
                pass
        return await asker.chat()

    for way in WAYS:
        together.reset()
        with WireServer(play) as server:
            assert (way.name, ask(way, server.url, program, retries=NO_RETRIES)) == (way.name, "hi")
            assert (way.name, server.connections) == (way.name, 3)


@pytest.mark.parametrize("make", [DirectTransport, AsyncHttpxTransport, BlockingTransport, HttpxTransport])
def test_the_replay_can_be_turned_off(make: Any) -> None:
    transport = make(replay=False)
    is_sync = make in (BlockingTransport, HttpxTransport)
    dying = Dying(Peer.close)

    async def main(url: str) -> None:
        if is_sync:
            asker = Asker(InferenceClient(url, transport=transport, retries=NO_RETRIES))
        else:
            asker = Asker(AsyncInferenceClient(url, transport=lambda: transport, retries=NO_RETRIES))
        try:
            with pytest.raises(ConnectionLostError):
                await twice(asker)
        finally:
            await asker.close()

    with WireServer(dying.play) as server:
        asyncio.run(main(server.url))
    assert set(dying.asked.values()) == {1}


def test_a_client_without_connections_gets_one_request() -> None:
    """A mock has no kept connections, so its error does not mean a dead one."""
    asked: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        raise httpx2.ReadError("gone")

    client = InferenceClient(
        "http://mock", transport=HttpxTransport(httpx2.Client(transport=httpx2.MockTransport(handler)))
    )
    with pytest.raises(ConnectionLostError, match="gone"):
        client.chat("m", "q")
    assert len(asked) == 1
