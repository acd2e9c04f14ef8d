"""The functions keep a limited number of clients, and drop the others without harm."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from sdk import AsyncInferenceClient, ConfigError, InferenceClient, inference_client
from sdk.client_cache import MAX_CLIENTS, ClientCache
from sdk.functions import _clients
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import DONE, LAST, PIECE, Api


def test_one_client_for_each_endpoint_and_key() -> None:
    cache = ClientCache()
    client = cache.client(InferenceClient, "h", 1, "a", None)
    assert cache.client(InferenceClient, "h", "1", "a", None) is client
    assert cache.client(InferenceClient, "h", 1, "b", None) is not client
    assert cache.client(AsyncInferenceClient, "h", 1, "a", None) is not client
    assert cache.client(InferenceClient, "h", 1, "a", "http://h:2") is not client
    assert len(cache) == 4
    with pytest.raises(ConfigError):
        cache.client(InferenceClient, "h", 0, "a", None)
    assert len(cache) == 4


def test_the_functions_keep_a_limited_number_of_clients() -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        for number in range(MAX_CLIENTS + 3):
            inference_client("m", "q", url=server.url, api_key=str(number), is_chat_request=True)
        assert len(_clients) == MAX_CLIENTS
        for peer in server.peers[:3]:
            assert peer.is_closed_by_client()


class Taps:
    """A server whose streams wait after their first chunk until `on` is set."""

    def __init__(self) -> None:
        self.on = threading.Event()
        self.api = Api(m=True)
        self.api.chat = self._chat

    def _chat(self, peer: Peer, body: Any) -> None:
        if body.get("stream"):
            peer.send(HEADERS)
            peer.chunk(PIECE)
            self.on.wait(10)
            for event in (LAST, DONE):
                peer.chunk(event)
            peer.end()
        else:
            peer.answer(b'{"choices":[{"message":{"content":"whole"}}]}')


def test_a_dropped_client_closes_after_its_last_use() -> None:
    taps, cache = Taps(), ClientCache(limit=2)
    with WireServer(taps.api.play) as server:

        def client(key: str) -> InferenceClient:
            return cache.client(InferenceClient, "", 0, key, server.url)

        stream = client("a").chat_stream("m", "q")
        assert next(stream).choices[0].delta.content == "hi"
        client("b").chat("m", "q")
        client("c").chat("m", "q")
        client("d").chat("m", "q")
        assert server.peers[1].is_closed_by_client(), "b fell out"
        client("c").chat("m", "q")
        assert server.connections == 4, "c is asked on its old connection"
        taps.on.set()
        assert "".join(chunk.choices[0].delta.content for chunk in stream) == "!"
        del stream
        assert server.peers[0].is_closed_by_client(), "a fell out, and its stream is over"


def test_dropped_async_clients_close_too() -> None:
    taps, cache = Taps(), ClientCache(limit=2)

    async def main(server: WireServer) -> None:
        def client(key: str) -> AsyncInferenceClient:
            return cache.client(AsyncInferenceClient, "", 0, key, server.url)

        stream = await client("a").chat_stream("m", "q")
        assert (await anext(stream)).choices[0].delta.content == "hi"
        for key in "bcd":
            await client(key).chat("m", "q")
        assert await asyncio.to_thread(server.peers[1].is_closed_by_client), "b fell out"
        await client("c").chat("m", "q")
        assert server.connections == 4, "c is asked on its old connection"
        taps.on.set()
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["!"]
        del stream
        assert await asyncio.to_thread(server.peers[0].is_closed_by_client), "a fell out, and its stream is over"

    gc.disable()  # what closes them is that nobody holds them
    try:
        with WireServer(taps.api.play) as server:
            asyncio.run(main(server))
    finally:
        gc.enable()
