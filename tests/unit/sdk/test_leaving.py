"""Leaving early, event loops that come and go, and calls made where they cannot wait."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

from sdk import (
    XRequestConfig,
    inference_client,
    inference_client_async,
)
from sdk.types import ChatCompletionResponse
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import PIECE, STREAM, Api


def endless(peer: Peer, left: threading.Event) -> None:
    peer.send(HEADERS)
    peer.chunk(PIECE)
    peer.wait_closed()
    left.set()


def test_leaving_a_stream_tells_the_server() -> None:
    for leave in ("break", "close", "with", "del"):
        left, api = threading.Event(), Api(m=True)
        api.chat = lambda peer, _, left=left: endless(peer, left)  # type: ignore[misc]
        with WireServer(api.play) as server:
            stream = inference_client("m", "q", url=server.url, request_config=STREAM)
            for chunk in stream:
                assert chunk.choices[0].delta.content == "hi"
                break
            if leave == "close":
                stream.close()
            elif leave == "with":
                with stream:
                    pass
            del stream, chunk
            gc.collect()
            assert left.wait(10), leave


def test_leaving_an_async_stream_tells_the_server() -> None:
    async def leave(how: str, url: str, left: threading.Event) -> None:
        stream = await inference_client_async("m", "q", url=url, request_config=STREAM)
        async for _ in stream:
            break
        if how == "close":
            await stream.aclose()
        elif how == "with":
            async with stream:
                pass
        elif how == "cancel":
            task = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            task.cancel()
        del stream
        gc.collect()
        assert await asyncio.to_thread(left.wait, 10), how

    for how in ("break", "close", "with", "cancel"):
        left, api = threading.Event(), Api(m=True)
        api.chat = lambda peer, _, left=left: endless(peer, left)  # type: ignore[misc]
        with WireServer(api.play) as server:
            asyncio.run(leave(how, server.url, left))


def test_a_sync_call_inside_a_running_loop() -> None:
    async def inside(url: str) -> str:
        return inference_client("m", "q", url=url).choices[0].message.content

    api = Api(m=True)
    with WireServer(api.play) as server:
        assert asyncio.run(inside(server.url)) == "hi"


def test_twenty_event_loops_in_a_row_leave_nothing_open() -> None:
    """Streams read to the end, left early, cancelled and forgotten: warnings are errors here, `-X dev` or not."""
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


def test_coroutines_are_made_outside_the_loop_and_read_the_config_when_called() -> None:
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
