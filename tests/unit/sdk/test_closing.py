"""Closing a client ends its calls and streams as docs/sdk.md describes."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from sdk import AsyncInferenceClient, ConnectionLostError, InferenceClient
from sdk.transport.direct import DirectTransport
from sdk.transport.httpx import HttpxTransport
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import CHAT, DONE, LAST, PIECE, Api


class Gate:
    """An API whose streams, and answers to the model "slow", set `reached` and wait for `go`."""

    def __init__(self) -> None:
        self.api = Api(m=True)
        self.api.chat = self._chat
        self.reached, self.go = threading.Event(), threading.Event()

    def _chat(self, peer: Peer, body: Any) -> None:
        if body.get("stream"):
            peer.send(HEADERS)
            peer.chunk(PIECE)
            self.go.wait(10)
            peer.chunk(LAST)
            peer.chunk(DONE)
            peer.end()
            return
        if body["model"] == "slow":
            self.reached.set()
            self.go.wait(10)
        peer.answer(CHAT)


def test_closing_an_async_client_ends_its_calls_and_it_may_be_used_again() -> None:
    gate = Gate()

    async def main(server: WireServer) -> None:
        client = AsyncInferenceClient(server.url)
        stream = await client.chat_stream("m", "q")
        assert (await anext(stream)).choices[0].delta.content == "hi"
        await client.chat("m", "q")
        slow = asyncio.create_task(client.chat("slow", "q"))
        await asyncio.to_thread(gate.reached.wait, 10)
        assert server.connections == 2, "the call goes over a kept connection"
        await client.aclose()
        with pytest.raises(ConnectionLostError, match="the client was closed") as caught:
            await anext(stream)
        assert caught.value.partial == "hi"
        with pytest.raises(ConnectionLostError, match="the client was closed"):
            await slow
        gate.go.set()
        assert (await client.chat("m", "q")).choices
        assert gate.api.paths == ["/chat/completions"] * 4, "nothing was asked twice"
        await client.aclose()

    with WireServer(gate.api.play) as server:
        asyncio.run(main(server))


def test_closing_ends_calls_that_wait_for_a_connection() -> None:
    gate = Gate()

    async def main(server: WireServer) -> None:
        client = AsyncInferenceClient(server.url, transport=partial(DirectTransport, max_connections=1))
        stream = await client.chat_stream("m", "q")
        waiting = [asyncio.create_task(client.chat("m", "q")) for _ in range(3)]
        await asyncio.sleep(0)
        await client.aclose()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ends} == {ConnectionLostError}
        gate.go.set()
        assert (await client.chat("m", "q")).choices
        assert server.connections == 2
        await stream.aclose()
        await client.aclose()

    with WireServer(gate.api.play) as server:
        asyncio.run(main(server))


def test_closing_a_blocking_client_lets_its_calls_finish() -> None:
    gate = Gate()
    with WireServer(gate.api.play) as server, ThreadPoolExecutor(1) as threads:
        client = InferenceClient(server.url)
        stream = client.chat_stream("m", "q")
        slow = threads.submit(client.chat, "slow", "q")
        assert gate.reached.wait(10)
        client.close()
        gate.go.set()
        assert "".join(chunk.choices[0].delta.content for chunk in stream) == "hi!"
        assert slow.result(10).choices
        for peer in server.peers:
            assert peer.is_closed_by_client()
        assert client.chat("m", "q").choices
        client.close()


def test_a_closed_httpx_transport_may_be_used_again() -> None:
    gate = Gate()
    with WireServer(gate.api.play) as server:
        client = InferenceClient(server.url, transport=HttpxTransport())
        for _ in range(2):
            assert client.chat("m", "q").choices
            client.close()
        assert server.connections == 2
