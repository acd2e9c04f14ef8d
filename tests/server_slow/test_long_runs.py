"""What only shows after a while: clients that give up by the hundred, requests by the ten thousand."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.server.wire import wait_until_idle
from tests.support.serving import ServerProcess, server_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REQUESTS, AT_ONCE, WARM = 20_000, 50, 2_000


def body(**fields: Any) -> bytes:
    asked = {"prompt": "Once upon a time", "ignore_eos": True, **fields}
    return json.dumps(asked).encode()


@asynccontextmanager
async def asked(server: ServerProcess, payload: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A completion asked for on a connection of its own, which closes with the block."""
    host, _, port = server.root.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        head = (
            f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
        )
        writer.write(head.encode() + payload)
        await writer.drain()
        yield reader
    finally:
        writer.close()


def memory_kb(server: ServerProcess) -> int:
    (line,) = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())
    return int(line)


def counted(http: httpx.Client, name: str) -> int:
    text = http.get("/metrics", headers={"connection": "close"}).text
    found = re.findall(rf"^{re.escape(name)}\S* (\S+)$", text, re.MULTILINE)
    return sum(int(float(value)) for value in found)


def test_two_hundred_who_give_up_leave_an_idle_engine() -> None:
    async def give_up(server: ServerProcess, number: int) -> None:
        async with asked(server, body(max_tokens=10_000, stream=bool(number % 2))) as reader:
            try:
                async with asyncio.timeout(0.5):
                    while await reader.read(65536):
                        pass
            except TimeoutError:
                return
            raise AssertionError("the answer came too soon to be given up")

    async def main(server: ServerProcess) -> None:
        await asyncio.gather(*(give_up(server, number) for number in range(200)))

    with server_process() as server, httpx.Client(base_url=server.root, timeout=60) as http:
        asyncio.run(main(server))
        wait_until_idle(http)
        headers = {"connection": "close", "content-type": "application/json"}
        answer = http.post("/v1/completions", content=body(max_tokens=10), headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["usage"]["completion_tokens"] == 10
        assert counted(http, 'vllm:request_success_total{engine="0",finished_reason="abort"') == 200


def test_twenty_thousand_requests_leave_nothing_behind() -> None:
    """A fifth is cancelled somewhere on its way; counters are exact, and memory stays where it was."""
    source = random.Random(7)

    async def ask(server: ServerProcess, cancelled: bool, stream: bool) -> None:
        async with asked(server, body(max_tokens=30_000 if cancelled else 20, stream=stream)) as reader:
            if cancelled:
                if stream:
                    await reader.readuntil(b"data: ")
                return
            answer = await reader.read()
            assert b'"completion_tokens":20' in answer or answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"), answer[
                -200:
            ]

    async def many(server: ServerProcess, count: int) -> int:
        """How many were cancelled."""
        gate = asyncio.Semaphore(AT_ONCE)
        cancelled = [source.random() < 0.2 for _ in range(count)]

        async def one(is_cancelled: bool) -> None:
            async with gate:
                await ask(server, is_cancelled, stream=source.random() < 0.5)

        await asyncio.gather(*(one(is_cancelled) for is_cancelled in cancelled))
        return sum(cancelled)

    with (
        server_process("--profile", "instant") as server,
        httpx.Client(base_url=server.root, timeout=60) as http,
    ):
        asyncio.run(many(server, WARM))
        wait_until_idle(http)
        gc.collect()
        before_kb = memory_kb(server)
        tasks_before = counted(http, "streamgauge_asyncio_tasks")
        finished_before = counted(http, 'vllm:request_success_total{engine="0",finished_reason="length"')
        cancelled = asyncio.run(many(server, REQUESTS))
        state = wait_until_idle(http)
        finished = counted(http, 'vllm:request_success_total{engine="0",finished_reason="length"') - finished_before
        assert finished == REQUESTS - cancelled
        assert (state["running"], state["waiting"]) == (0, 0)
        assert http.get("/load", headers={"connection": "close"}).json() == {"server_load": 0}
        assert counted(http, "streamgauge_asyncio_tasks") <= tasks_before
        assert memory_kb(server) - before_kb < 8 * 1024
