"""The async client on trio, where it uses the httpx transport by default."""

from __future__ import annotations

import gc
import threading

import pytest
import trio

from sdk import AsyncInferenceClient, ConnectError, RetryPolicy, StreamTruncatedError
from tests.support.wire import HEADERS, Peer, WireServer

PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'


def test_calls_and_streams() -> None:
    def play(peer: Peer) -> None:
        while request := peer.read_request():
            if b'"stream":true' in request:
                peer.send(HEADERS)
                peer.chunk(PIECE)
                peer.chunk(b"data: [DONE]\n\n")
                peer.end()
            else:
                peer.answer(b'{"choices":[{"message":{"content":"whole"}}]}')

    async def main(url: str) -> tuple[str, str]:
        client = AsyncInferenceClient(url)
        whole = await client.chat("m", "q")
        stream = await client.chat_stream("m", "q")
        async for _ in stream:
            pass
        return whole.choices[0].message.content, stream.text

    with WireServer(play) as server:
        for _ in range(3):  # a loop each, one client's connections each
            assert trio.run(main, server.url) == ("whole", "hi")


def test_a_broken_stream_and_a_closed_port() -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        peer.chunk(PIECE)
        peer.end()

    async def read(url: str) -> None:
        stream = await AsyncInferenceClient(url, retries=RetryPolicy(1, base_delay_s=0.001)).chat_stream("m", "q")
        async for _ in stream:
            pass

    with WireServer(play) as server:
        with pytest.raises(StreamTruncatedError):
            trio.run(read, server.url)
        url = server.url
    with pytest.raises(ConnectError, match="2 attempts"):
        trio.run(read, url)


# httpx2 leaves its own inner generators to the garbage collector when a response is left early; trio remarks on it
@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object PoolByteStream")
@pytest.mark.parametrize("how", ["break", "cancel", "close"])
def test_leaving_a_stream_closes_its_connection(how: str) -> None:
    left = threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        peer.chunk(PIECE)
        peer.wait_closed()
        left.set()

    async def main(url: str) -> None:
        async with AsyncInferenceClient(url) as client:
            stream = await client.chat_stream("m", "q")
            if how == "break":
                async for _ in stream:
                    break
            else:
                await anext(stream)
            if how == "close":
                await stream.aclose()
            elif how == "cancel":
                with trio.move_on_after(0):
                    await stream.__anext__()
            del stream
            gc.collect()
            assert await trio.to_thread.run_sync(left.wait, 10)

    with WireServer(play) as server:
        trio.run(main, server.url)


def test_a_freed_client_closes_its_connections() -> None:
    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.answer(b'{"choices":[{"message":{"content":"whole"}}]}')

    async def main(server: WireServer) -> None:
        client = AsyncInferenceClient(server.url)
        await client.chat("m", "q")
        del client
        assert await trio.to_thread.run_sync(server.peers[0].is_closed_by_client)

    with WireServer(play) as server:
        trio.run(main, server)
