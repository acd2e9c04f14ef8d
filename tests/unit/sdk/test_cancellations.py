"""Ten thousand calls are cancelled at random moments: no connection, task or warning is left."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from sdk import AsyncInferenceClient, Timeouts
from sdk.transport.direct import DirectTransport
from tests.support.wire import HEADERS

CALLS, AT_ONCE = 10_000, 250
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Server:
    """Answers each request with a stream in several writes, on the loop of the test."""

    def __init__(self) -> None:
        self.handlers: set[asyncio.Task[Any]] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
                await reader.readexactly(length)
                writer.write(HEADERS)
                for data in (CHUNK, CHUNK, LAST):
                    await asyncio.sleep(0)
                    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left, as it should
        finally:
            writer.close()


async def give_up(transport: DirectTransport, client: AsyncInferenceClient, rng: random.Random) -> None:
    async def call() -> None:
        if rng.random() < 0.5:
            async for _ in await client.chat_stream("m", "q"):
                pass
        else:
            stream = await client.chat_stream("m", "q", timeout=Timeouts(total=30, stall=5))
            async with stream:
                await anext(stream)

    task = asyncio.create_task(call())
    for _ in range(rng.randrange(30)):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_ten_thousand_cancelled_calls_leave_nothing_behind(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        rng = random.Random(7)
        server = Server()
        listener = await asyncio.start_server(server.answer, "127.0.0.1", 0, backlog=1024)
        port = listener.sockets[0].getsockname()[1]
        transport = DirectTransport(max_connections=100)
        client = AsyncInferenceClient(f"http://127.0.0.1:{port}", transport=lambda: transport)
        for _ in range(CALLS // AT_ONCE // 2):
            await asyncio.gather(*(give_up(transport, client, rng) for _ in range(AT_ONCE)))
        for _ in range(20):  # what was let go closes on the loop's next turns
            await asyncio.sleep(0)
        assert (transport.pool.in_use, transport.pool.waiting) == (0, 0)
        stream = await client.chat_stream("m", "q")  # and it still works
        assert "".join([chunk.choices[0].delta.content async for chunk in stream]) == "hihi"
        await client.aclose()
        listener.close()
        for handler in list(server.handlers):
            handler.cancel()
        await asyncio.gather(*server.handlers, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (transport.pool.in_use, transport.pool.idle) == (0, 0)

    run(main())
    gc.collect()
