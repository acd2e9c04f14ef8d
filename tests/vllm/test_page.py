"""The page's client programs (those of tests/e2e/page) on a real vLLM: asked in English, the one language of the model.

They ask 127.0.0.1:8000, so that port must be free.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.support.developer_mode import run_in_developer_mode
from tests.support.vllm_server import MODEL, ROOT, VllmServer

pytestmark = pytest.mark.vllm

PROGRAMS = ROOT / "tests" / "e2e" / "page"
IN_ENGLISH = {
    "浙江的省会在哪里?": "Where is the capital of Zhejiang?",
    "这有什么好吃的?": "What delicious food is there?",
    "浙江 -> 杭州\\n安徽 -> 合肥\\n四川 ->": "1, 2, 3, 4, 5,",
}


@contextlib.contextmanager
def on_port_8000(server: VllmServer) -> Iterator[None]:
    """Pass what comes to port 8000 on to a server."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async def run() -> None:
        async with await asyncio.start_server(relay, "127.0.0.1", 8000):
            ready.set()
            await asyncio.to_thread(done.wait)

    ready, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(10), "port 8000, which the page's programs ask, is taken by another program"
        yield
    finally:
        done.set()
        thread.join()


def run(program: str) -> str:
    """What a program of the page prints. Warnings are errors, and it must not leave any behind."""
    source = (PROGRAMS / program).read_text()
    for chinese, english in IN_ENGLISH.items():
        source = source.replace(chinese, english)
    assert source.isascii()
    ended = run_in_developer_mode("-W", "error", "-c", source, timeout_s=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.mark.parametrize("program", ["sync_client.py", "openai_client.py"])
def test_a_chat_model(server: VllmServer, program: str) -> None:
    with on_port_8000(server):
        printed = run(program)
    assert f"model_type: {MODEL}\n" in printed
    assert "response: The capital of Zhejiang is Hangzhou.\n" in printed
    streamed = printed.rpartition("response: ")[2]
    assert len(streamed.split()) > 10, "and a list of dishes"
    assert "None" not in streamed


def test_a_chat_model_asked_from_asyncio(server: VllmServer) -> None:
    with on_port_8000(server):
        printed = run("async_client.py")
    assert printed.count("response: The capital of Zhejiang is Hangzhou.\n") == 5
    assert len(printed.partition("streamed: ")[2].split()) > 10


def test_a_base_model(base_server: VllmServer) -> None:
    with on_port_8000(base_server):
        printed = run("base_model.py")
    whole, streamed, streamed_async = (text.strip() for text in printed.split("response: ")[1:])
    assert whole.startswith("6, 7, 8, 9, 10,")
    assert whole == streamed == streamed_async
