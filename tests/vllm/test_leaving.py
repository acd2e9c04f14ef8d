"""Leaving an answer early, in each way there is, frees the engine at once: vLLM says so itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from sdk import AsyncInferenceClient, AsyncStream, InferenceClient, TotalTimeoutError, XRequestConfig
from tests.support.vllm_server import MODEL, VllmServer

pytestmark = pytest.mark.vllm

LENGTH = 1900  # a minute and more of work, longer than the wait for its end
LONG = XRequestConfig(max_tokens=LENGTH, ignore_eos=True, temperature=0)
QUESTION = "Write a long story about a cat."
Leave = Callable[[AsyncStream[Any]], Coroutine[Any, Any, None]]


@contextlib.contextmanager
def expect_aborted(server: VllmServer, requests: int = 1) -> Iterator[None]:
    """What the block asks for has to end, and before its time: with fewer tokens generated than were asked for."""
    generated = server.metric("vllm:generation_tokens_total")
    yield
    server.wait_for_metric("vllm:num_requests_running", 0)
    now = server.metric("vllm:generation_tokens_total")
    assert now - generated < requests * LENGTH
    with InferenceClient(server.url) as client:
        client.chat(MODEL, "hi", max_tokens=8, min_tokens=8)
    server.wait_for_metric("vllm:generation_tokens_total", now + 8)  # and nothing else is being generated


def test_a_closed_stream(client: InferenceClient, server: VllmServer) -> None:
    with expect_aborted(server):
        stream = client.chat_stream(MODEL, QUESTION, config=LONG)
        next(stream)
        assert server.metric("vllm:num_requests_running") == 1
        stream.close()


def test_a_broken_off_loop(client: InferenceClient, server: VllmServer) -> None:
    with expect_aborted(server):
        for chunk in client.chat_stream(MODEL, QUESTION, config=LONG):
            if chunk.choices[0].delta.content:
                break


def test_a_time_limit_on_a_whole_answer(client: InferenceClient, server: VllmServer) -> None:
    with expect_aborted(server), pytest.raises(TotalTimeoutError, match=r"1\.5"):
        client.chat(MODEL, QUESTION, config=LONG, timeout=1.5)


async def close_it(stream: AsyncStream[Any]) -> None:
    await anext(stream)
    await stream.aclose()


async def break_the_loop(stream: AsyncStream[Any]) -> None:
    async for _ in stream:
        break


async def cancel_the_task(stream: AsyncStream[Any]) -> None:
    await anext(stream)

    async def read() -> None:
        async for _ in stream:
            began.set()

    began = asyncio.Event()
    task = asyncio.create_task(read())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def end_the_loop(stream: AsyncStream[Any]) -> None:
    await anext(stream)


@contextlib.asynccontextmanager
async def asked(server: VllmServer) -> AsyncIterator[AsyncStream[Any]]:
    client = AsyncInferenceClient(server.url)
    yield await client.chat_stream(MODEL, QUESTION, config=LONG)


@pytest.mark.parametrize("leave", [close_it, break_the_loop, cancel_the_task, end_the_loop])
def test_a_stream_in_asyncio(server: VllmServer, leave: Leave) -> None:
    async def main() -> None:
        async with asked(server) as stream:
            await leave(stream)

    with expect_aborted(server):
        asyncio.run(main())


def test_eight_of_sixteen_leave_and_the_others_are_answered(server: VllmServer) -> None:
    short = XRequestConfig(max_tokens=24, min_tokens=24, ignore_eos=True, temperature=0)

    async def main() -> list[str]:
        async with AsyncInferenceClient(server.url) as client:

            async def stays() -> str:
                async with await client.chat_stream(MODEL, QUESTION, config=short) as stream:
                    async for _ in stream:
                        pass
                return stream.text

            async def leaves() -> str:
                async with await client.chat_stream(MODEL, QUESTION, config=LONG) as stream:
                    await anext(stream)
                return ""

            texts = await asyncio.gather(*(stays() if number % 2 else leaves() for number in range(16)))
            return texts[1::2]

    with expect_aborted(server, requests=8):
        texts = asyncio.run(main())
    assert len(set(texts)) == 1
    assert texts[0]
