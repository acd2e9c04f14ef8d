"""Where the time of a chunk goes in the SDK: each step alone, warm, without sockets.

    python benchmarks/sdk.py --profile

Prints µs a chunk, the best of five rounds. `benchmarks/sdk.py` measures the whole with sockets, where the kernel's
share comes on top and caches are cold between tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import uvloop

from sdk import AsyncInferenceClient
from sdk.chunks import DECODERS, ChatCompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.sse import EventDecoder
from sdk.stream_reader import StreamReader
from sdk.transport.base import AsyncExchange, Block, Origin, Request
from sdk.transport.connection import Connection
from sdk.transport.http1 import ResponseParser

EVENT = (
    b'data: {"id":"chatcmpl-8a1f2c","object":"chat.completion.chunk","created":1732500000,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}\n\n'
)
FRAME = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ROUNDS, COUNT = 5, 100_000


def timed(step: Callable[[bytes], object], data: bytes) -> float:
    best_s = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(COUNT):
            step(data)
        best_s = min(best_s, time.perf_counter() - start)
    return best_s / COUNT * 1e6


async def timed_async(one: Callable[[], Awaitable[object]]) -> float:
    best_s = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(COUNT):
            await one()
        best_s = min(best_s, time.perf_counter() - start)
    return best_s / COUNT * 1e6


class Nowhere(asyncio.Transport):
    """A socket that swallows what is written to it."""

    def write(self, data: object) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass


class OneConnection:
    """A transport whose only connection is fed by hand."""

    keeps_limits = True

    def __init__(self) -> None:
        self.connection = Connection(Origin("http", "127.0.0.1", 1), lambda _: None, lambda _: None)
        self.connection.connection_made(Nowhere())

    async def send(self, request: Request, deadline: Deadline) -> AsyncExchange:
        exchange = self.connection.start(b"", deadline, opened=True)
        self.connection.data_received(HEAD + FRAME)
        await exchange.head_arrived()
        return exchange

    async def aclose(self) -> None:
        pass


async def whole_path() -> float:
    """A read comes, its reader wakes, parses it and has a chunk: what remains without the kernel."""
    transport = OneConnection()
    client = AsyncInferenceClient("http://127.0.0.1:1", transport=lambda: transport)
    stream = await client.chat_stream("m", "hi")

    async def read() -> None:
        async for _ in stream:
            pass

    reader = asyncio.ensure_future(read())

    async def one() -> None:
        transport.connection.data_received(FRAME)
        await asyncio.sleep(0)

    whole = await timed_async(one) - await timed_async(lambda: asyncio.sleep(0))
    reader.cancel()
    return whole


def main() -> None:
    parser = ResponseParser()
    parser.feed(HEAD)
    decoder = EventDecoder()
    decoder.feed(b": a comment\n\n")
    reader = StreamReader(ChatCompletionStreamResponse, Deadline(Timeouts()))
    decode = DECODERS[ChatCompletionStreamResponse]

    http = timed(parser.feed, FRAME)
    sse = timed(decoder.feed, EVENT)
    json = timed(decode, EVENT[6:-2])
    reading = timed(lambda data: reader.feed(Block(data, 0)), EVENT)
    whole = uvloop.run(whole_path())
    print(f"HTTP, by llhttp                     {http:6.2f} µs")
    print(f"SSE                                 {sse:6.2f}")
    print(f"JSON into a typed chunk             {json:6.2f}")
    print(f"text, usage and reasons kept        {reading - sse - json:6.2f}")
    print(f"waking the reader, and its loop     {whole - http - reading:6.2f}")
    print(f"together                            {whole:6.2f}")


if __name__ == "__main__":
    main()
