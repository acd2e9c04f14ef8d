"""Properties of the httpx transports alone: ends of loops, late readers, proxies."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic_ns
from typing import Any

import pytest
import trio

from sdk import AsyncInferenceClient, ConfigError, ConnectError, InferenceClient, RetryPolicy, StallTimeoutError
from sdk.deadline import SECOND_NS, Deadline, Timeouts
from sdk.transport.base import Origin, Request
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import PIECE


def one_piece(peer: Peer) -> None:
    peer.read_request()
    peer.send(HEADERS)
    peer.chunk(PIECE)
    peer.wait_closed()


def test_a_loop_may_end_right_after_a_stream_was_left() -> None:
    problems: list[dict[str, Any]] = []

    async def main(url: str) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        stream = await AsyncInferenceClient(url, transport=AsyncHttpxTransport).chat_stream("m", "q")
        async for _ in stream:
            break

    with WireServer(one_piece) as server:
        asyncio.run(main(server.url))
    assert problems == []


def test_a_trio_run_may_end_right_after_a_stream_was_cancelled() -> None:
    async def main(url: str) -> str:
        stream = await AsyncInferenceClient(url).chat_stream("m", "q")
        await anext(stream)
        with trio.move_on_after(0):
            await anext(stream)
        return stream.text

    with WireServer(one_piece) as server:
        assert trio.run(main, server.url) == "hi"


def test_a_late_reader_gets_the_data_that_arrived_and_comments_are_not_tokens() -> None:
    sent = threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        peer.chunk(PIECE)
        sent.set()
        peer.wait_closed()

    with WireServer(play) as server:
        limits = Deadline(Timeouts(stall=5))
        exchange = HttpxTransport().send(Request("GET", Origin("http", "127.0.0.1", server.port), "/"), limits)
        assert sent.wait(10)
        limits.progress(monotonic_ns() - 60 * SECOND_NS)  # the last token was long ago
        block = exchange.read()
        assert block is not None
        assert block.data == PIECE
        exchange.close()


def test_an_exchange_outlives_the_last_reference_to_its_transport() -> None:
    go_on = threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        go_on.wait(10)
        peer.chunk(PIECE)
        peer.end()

    with WireServer(play) as server:
        request = Request("GET", Origin("http", "127.0.0.1", server.port), "/")
        exchange = HttpxTransport().send(request, Deadline(Timeouts()))
        go_on.set()
        assert exchange.read() is not None
        assert exchange.read() is None


def test_a_flood_of_comments_is_a_stall() -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        peer.chunk(PIECE)
        try:
            while True:
                peer.chunk(b": keep-alive\n\n")
        except OSError:
            pass  # the client has had enough

    with WireServer(play) as server:
        client = InferenceClient(server.url, transport=HttpxTransport(), timeout=Timeouts(stall=0.2))
        with pytest.raises(StallTimeoutError):
            list(client.chat_stream("m", "q"))


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "ftp://127.0.0.1:9", "http://127.0.0.1:port"])
def test_a_proxy_that_cannot_be_used_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(ConfigError, match="http_proxy"):
        InferenceClient("http://example.invalid").models()


def test_a_proxy_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with WireServer(lambda _: None) as server:
        port = server.port
    monkeypatch.setenv("http_proxy", f"http://user:secret@127.0.0.1:{port}")
    with pytest.raises(ConnectError, match=f"through the proxy of the environment, http://127.0.0.1:{port}") as caught:
        InferenceClient("http://example.invalid", retries=RetryPolicy(0)).models()
    assert "secret" not in str(caught.value)


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.answer(b"", "407 Proxy Authentication Required")

    with WireServer(play) as server:
        proxy = f"http://127.0.0.1:{server.port}"
        monkeypatch.setenv("https_proxy", proxy)
        refusal = f"the proxy {proxy} refuses to connect to https://example.invalid: 407 Proxy Auth"
        with pytest.raises(ConnectError, match=refusal):
            InferenceClient("https://example.invalid", retries=RetryPolicy(0)).models()
