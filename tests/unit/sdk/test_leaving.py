"""Leaving streams early, many event loops in turn, and blocking calls within a running loop."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from sdk import (
    AsyncInferenceClient,
    InferenceClient,
    XRequestConfig,
    inference_client,
    inference_client_async,
)
from sdk.types import ChatCompletionResponse
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import DONE, LAST, PIECE, STREAM, Api


def endless(peer: Peer, left: threading.Event) -> None:
    peer.send(HEADERS)
    peer.chunk(PIECE)
    peer.wait_closed()
    left.set()


@pytest.mark.parametrize("how", ["break", "close", "with", "del"])
def test_leaving_a_stream_closes_its_connection(how: str) -> None:
    left, api = threading.Event(), Api(m=True)
    api.chat = lambda peer, _: endless(peer, left)
    with WireServer(api.play) as server:
        stream = inference_client("m", "q", url=server.url, request_config=STREAM)
        if how == "break":
            for _ in stream:
                break
        else:
            assert next(stream).choices[0].delta.content == "hi"
        if how == "close":
            stream.close()
        elif how == "with":
            with stream:
                pass
        elif how == "del":
            del stream
            gc.collect()
        assert left.wait(10)


@pytest.mark.parametrize("how", ["break", "close", "with", "cancel", "del"])
def test_leaving_an_async_stream_closes_its_connection(how: str) -> None:
    async def leave(url: str, left: threading.Event) -> None:
        stream = await inference_client_async("m", "q", url=url, request_config=STREAM)
        if how == "break":
            async for _ in stream:
                break
        else:
            await anext(stream)
        if how == "close":
            await stream.aclose()
        elif how == "with":
            async with stream:
                pass
        elif how == "cancel":
            task = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            task.cancel()
        elif how == "del":
            del stream
            gc.collect()
        assert await asyncio.to_thread(left.wait, 10)

    left, api = threading.Event(), Api(m=True)
    api.chat = lambda peer, _: endless(peer, left)
    with WireServer(api.play) as server:
        asyncio.run(leave(server.url, left))


def test_a_second_loop_over_an_abandoned_stream_is_an_error() -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        stream = inference_client("m", "q", url=server.url, request_config=STREAM)
        for _ in stream:
            break
        with pytest.raises(RuntimeError, match="an earlier loop left this stream"):
            list(stream)
        paused = inference_client("m", "q", url=server.url, request_config=STREAM)
        first = next(paused)
        assert [first, *paused][-1].choices[0].delta.content == "!"
        assert list(paused) == []


def test_a_stream_outlives_its_client() -> None:
    async def main(url: str) -> str:
        stream = await AsyncInferenceClient(url).chat_stream("m", "q")
        text = ""
        async for chunk in stream:
            text += chunk.choices[0].delta.content
            gc.collect()
        return text

    api = Api(m=True)

    def chat(peer: Peer, _: Any) -> None:
        peer.send(HEADERS)
        for event in (PIECE, PIECE, PIECE, LAST, DONE):
            peer.chunk(event)
        peer.end()

    api.chat = chat
    with WireServer(api.play) as server:
        assert asyncio.run(main(server.url)) == "hihihi!"
        stream = InferenceClient(server.url).chat_stream("m", "q")
        gc.collect()
        assert len(list(stream)) == 4


def test_a_second_reader_of_a_stream_is_refused() -> None:
    async def main(url: str, go: threading.Event) -> None:
        stream = await AsyncInferenceClient(url).chat_stream("m", "q")
        first = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is reading"):
            await anext(stream)
        go.set()
        assert (await first).choices[0].delta.content == "hi"
        waiting = asyncio.create_task(anext(stream, None))
        await asyncio.sleep(0)
        await stream.aclose()
        assert await waiting is None, "closed by another task: at its end"

    go, api = threading.Event(), Api(m=True)

    def chat(peer: Peer, _: Any) -> None:
        peer.send(HEADERS)
        go.wait(10)
        peer.chunk(PIECE)
        peer.wait_closed()

    api.chat = chat
    with WireServer(api.play) as server:
        asyncio.run(main(server.url, go))


def test_a_sync_call_inside_a_running_loop() -> None:
    async def inside(url: str) -> str:
        return inference_client("m", "q", url=url).choices[0].message.content

    api = Api(m=True)
    with WireServer(api.play) as server:
        assert asyncio.run(inside(server.url)) == "hi"


def test_twenty_event_loops_in_turn_leave_nothing_open() -> None:
    """Streams read to the end, left early, cancelled and dropped; warnings are errors, with and without `-X dev`."""
    api = Api(m=True)

    async def busy(url: str) -> None:
        async def read(limit: int) -> None:
            stream = await inference_client_async("m", "q", url=url, request_config=STREAM)
            async for _ in stream:
                limit -= 1
                if not limit:
                    return

        tasks = [asyncio.create_task(read(limit)) for limit in (1, 2, 99, 99)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with WireServer(api.play) as server:
        coroutines = [busy(server.url) for _ in range(20)]
        for coroutine in coroutines:
            asyncio.run(coroutine)
            gc.collect()
        for peer in server.peers:
            assert peer.is_closed_by_client(), "a connection outlived its loop"


def test_coroutines_may_be_created_outside_a_loop_and_read_the_config_when_called() -> None:
    api = Api(m=True)
    config: XRequestConfig[Any] = XRequestConfig(seed=1)
    with WireServer(api.play) as server:
        calls = [inference_client_async("m", f"q{i}", url=server.url, request_config=config) for i in range(5)]
        config.stream = True

        async def gather() -> list[Any]:
            return await asyncio.gather(*calls)

        answers = asyncio.run(gather())
    assert [type(answer) for answer in answers] == [ChatCompletionResponse] * 5
    assert sorted(body["messages"][0]["content"] for _, _, body in api.asked if body) == [f"q{i}" for i in range(5)]
