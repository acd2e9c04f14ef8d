"""One side of one work of `benchmarks/sdk.py`, in a process of its own: prints the figure."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

WORK, SIDE, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
URL = f"http://127.0.0.1:{PORT}/v1"
MESSAGES = [{"role": "user", "content": "Tell me about the old bridge."}]
STREAMS, TOKENS = 128, 400


async def ours_stream(client: Any, tokens: int) -> int:
    count = 0
    stream = await client.chat_stream("m", MESSAGES, max_tokens=tokens)
    async for chunk in stream:
        count += len(chunk.choices[0].delta.content) > 0
    return count


async def openai_stream(client: Any, tokens: int) -> int:
    count = 0
    stream = await client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=tokens, stream=True)
    async for chunk in stream:
        if chunk.choices:
            count += len(chunk.choices[0].delta.content or "") > 0
    return count


def async_client() -> Any:
    if SIDE == "ours":
        from sdk import AsyncInferenceClient

        return AsyncInferenceClient(URL)
    import httpx2
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    # its own limits, 1,000 connections and 5 s to make one, would fail 4,000 streams
    limits = httpx2.Limits(max_connections=4096, max_keepalive_connections=4096)
    http_client = DefaultAsyncHttpxClient(limits=limits, timeout=httpx2.Timeout(600.0))
    return AsyncOpenAI(base_url=URL, api_key="EMPTY", max_retries=0, http_client=http_client)


class Floor(asyncio.Protocol):
    """The least that must be done: read, let llhttp parse, wake a reader; no pool, no limits, no types."""

    def __init__(self) -> None:
        import httptools

        self.parser = httptools.HttpResponseParser(self)
        self.done = asyncio.get_running_loop().create_future()
        self.waiter: asyncio.Future[None] | None = None
        self.blocks: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def on_body(self, body: bytes) -> None:
        self.blocks.append(body)

    def on_message_complete(self) -> None:
        self.done.set_result(None)


async def floor_stream(_: Any, tokens: int) -> int:
    body = json.dumps({"model": "m", "messages": MESSAGES, "max_tokens": tokens, "stream": True}).encode()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(Floor, "127.0.0.1", PORT)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    transport.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
    count = 0
    while not protocol.done.done():
        protocol.waiter = loop.create_future()
        await protocol.waiter
        count += sum(block.count(b"data: {") for block in protocol.blocks)
        protocol.blocks.clear()
    transport.close()
    return count


STREAM_OF: dict[str, Callable[[Any, int], Awaitable[int]]] = {
    "ours": ours_stream,
    "openai": openai_stream,
    "floor": floor_stream,
}


async def chunks() -> float:
    client = None if SIDE == "floor" else async_client()
    stream: Callable[[Any, int], Awaitable[int]] = {
        "ours": ours_stream,
        "openai": openai_stream,
        "floor": floor_stream,
    }[SIDE]
    await stream(client, 3)
    gc.collect()
    start = time.process_time()
    counts = await asyncio.gather(*(stream(client, TOKENS) for _ in range(STREAMS)))
    return (time.process_time() - start) / sum(counts) * 1e6


async def requests() -> float:
    client = async_client()
    total = 4000 if SIDE == "ours" else 1000

    async def one() -> None:
        if SIDE == "ours":
            await client.chat("m", MESSAGES, max_tokens=8)
        else:
            await client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=8)

    async def lane(count: int) -> None:
        for _ in range(count):
            await one()

    await asyncio.gather(*(lane(2) for _ in range(64)))
    start = time.process_time()
    await asyncio.gather(*(lane(total // 64) for _ in range(64)))
    return (time.process_time() - start) / (total // 64 * 64) * 1e6


async def first_tokens() -> float:
    client = async_client()
    await open_stream(client)
    start = time.perf_counter()
    await asyncio.gather(*(open_stream(client) for _ in range(4000)))
    return time.perf_counter() - start


async def open_stream(client: Any) -> Any:
    """A stream whose first token has come; it stays open."""
    if SIDE == "ours":
        stream = await client.chat_stream("m", MESSAGES, max_tokens=50)
        while not (await anext(stream)).choices[0].delta.content:
            pass
        return stream
    stream = await client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=50, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            return stream
    return stream


def resident_kib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1024


async def memory() -> float:
    client = async_client()
    held = [await open_stream(client)]
    gc.collect()
    before = resident_kib()
    for _ in range(40):
        held += await asyncio.gather(*(open_stream(client) for _ in range(100)))
    gc.collect()
    return (resident_kib() - before) / 4000


def sync() -> float:
    rounds, tokens = 5, 2000

    def ours() -> Callable[[], int]:
        from sdk import InferenceClient

        client = InferenceClient(URL)
        return lambda: sum(
            len(chunk.choices[0].delta.content) > 0 for chunk in client.chat_stream("m", MESSAGES, max_tokens=tokens)
        )

    def openai() -> Callable[[], int]:
        from openai import OpenAI

        client = OpenAI(base_url=URL, api_key="EMPTY", max_retries=0)

        def read() -> int:
            stream = client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=tokens, stream=True)  # type: ignore[call-overload]
            return sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in stream)

        return read

    def httpx2() -> Callable[[], int]:
        import httpx2

        client = httpx2.Client()
        body = {"model": "m", "messages": MESSAGES, "max_tokens": tokens, "stream": True}

        def read() -> int:
            count = 0
            with client.stream("POST", f"{URL}/chat/completions", json=body) as response:
                for line in response.iter_lines():
                    if line.startswith("data: {"):
                        count += bool(json.loads(line[6:])["choices"][0]["delta"].get("content"))
            return count

        return read

    read = {"ours": ours, "openai": openai, "httpx2": httpx2}[SIDE]()
    read()
    start = time.process_time()
    count = sum(read() for _ in range(rounds))
    return (time.process_time() - start) / count * 1e6


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    if WORK.startswith("sync"):
        print(json.dumps(sync()))
        return
    work = {"requests": requests, "first-tokens": first_tokens, "memory": memory}.get(WORK, chunks)
    if WORK == "chunks-asyncio":
        print(json.dumps(asyncio.run(work())))
    else:
        import uvloop

        print(json.dumps(uvloop.run(work())))


if __name__ == "__main__":
    main()
