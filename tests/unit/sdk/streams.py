"""Reads a chat stream to its end, sync and async, with its text and calls."""

from __future__ import annotations

import asyncio
from typing import Any

from sdk import AsyncInferenceClient, AsyncStream, ChatCompletionStreamResponse, InferenceClient, Stream


def streamed_sync(url: str, **fields: Any) -> Stream[ChatCompletionStreamResponse]:
    with InferenceClient(url) as client, client.chat_stream("m", "q", **fields) as stream:
        for _ in stream:
            pass
        return stream


def streamed_async(url: str, **fields: Any) -> AsyncStream[ChatCompletionStreamResponse]:
    async def read() -> AsyncStream[ChatCompletionStreamResponse]:
        async with AsyncInferenceClient(url) as client, await client.chat_stream("m", "q", **fields) as stream:
            async for _ in stream:
                pass
            return stream

    return asyncio.run(read())
