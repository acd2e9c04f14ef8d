"""Limits hold over a program's own transports; the threads of blocking ones are abandoned in time."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from time import monotonic
from typing import Any

import httpx
import httpx2
import pytest
import trio

from sdk import (
    AsyncInferenceClient,
    FirstByteTimeoutError,
    InferenceClient,
    RetryPolicy,
    SDKError,
    StallTimeoutError,
    Timeouts,
    TotalTimeoutError,
)
from sdk.deadline import Deadline
from sdk.transport.base import FINISH_S, Block, Head, Request
from sdk.transport.fake import AsyncFakeTransport, FakeAnswer, FakeTransport
from sdk.transport.httpx import HttpxTransport
from tests.support.serving import ROOT
from tests.support.waiting import AT_MOST_S, EVENTS, LIMIT_S, WAITS, blocks_in_time, ends_in_time, never, on_every_loop
from tests.unit.sdk.api import CHAT, DONE, LAST, PIECE


class Exchange:
    """A token, and then `wait`, which may be async."""

    head = Head(200, EVENTS)
    sent_ns = head_ns = 1
    opened_connection = True

    def __init__(self, wait: Callable[[], Any]) -> None:
        self._wait = wait
        self._blocks = [Block(PIECE, time.monotonic_ns())]
        self.closes = 0

    def read(self) -> Any:
        return self._next() if asyncio.iscoroutinefunction(self._wait) else self._blocking_next()

    async def _next(self) -> Block | None:
        if not self._blocks:
            await self._wait()
        return self._blocks.pop() if self._blocks else None

    def _blocking_next(self) -> Block | None:
        if not self._blocks:
            self._wait()
        return self._blocks.pop() if self._blocks else None

    arrives = read

    def finish(self) -> Any:
        self.closes += 1

    async def aclose(self) -> None:
        self.closes += 1

    def close(self) -> None:
        self.closes += 1

    abandon = close


class Async:
    def __init__(self, send: Any, read: Any = never) -> None:
        self._send = send
        self.exchange = Exchange(read)

    async def send(self, request: Request, deadline: Deadline) -> Any:
        if self._send is not None:
            await self._send()
        return self.exchange

    async def aclose(self) -> None:
        pass


class Blocking:
    def __init__(self, send: Any, read: Any = None) -> None:
        self._send = send
        self.exchange = Exchange(read)

    def send(self, request: Request, deadline: Deadline) -> Any:
        if self._send is not None:
            self._send()
        return self.exchange

    def close(self) -> None:
        pass


def test_a_programs_own_async_transport() -> None:
    async def main(part: str, wait: str, limit: str) -> tuple[type[SDKError], str, bool]:
        own = Async(WAITS[wait]) if part == "send" else Async(None, WAITS[wait])
        limits = Timeouts(total=LIMIT_S) if limit == "total" else Timeouts(total=30, first_byte=LIMIT_S, stall=LIMIT_S)
        client = AsyncInferenceClient("http://own", transport=lambda: own, timeout=limits)
        error = await ends_in_time(client, stream=True)
        await client.aclose()
        return type(error), error.partial, own.exchange.closes > 0

    variants = [(part, wait, limit) for part in ("send", "read") for wait in WAITS for limit in ("total", "other")]
    for (_, part, _, limit), (kind, partial_text, is_closed) in on_every_loop(main, *variants).items():
        other = FirstByteTimeoutError if part == "send" else StallTimeoutError
        assert kind is (TotalTimeoutError if limit == "total" else other)
        assert (partial_text, is_closed) == (("hi", True) if part == "read" else ("", False))


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_work_on_a_busy_loop_is_interrupted_before_it_is_dropped() -> None:
    """Each turn of the loop takes longer than work may take after its interruption; a nursery must not be dropped."""

    async def in_a_nursery(*_: Any) -> Any:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()

    async def keep_busy() -> None:
        while True:
            time.sleep(FINISH_S * 1.2)  # noqa: ASYNC251 - the loop is busy
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        client = AsyncInferenceClient(
            "http://x", transport=lambda: Async(in_a_nursery), timeout=0.1, retries=RetryPolicy(0)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_busy)
            with pytest.raises(TotalTimeoutError):
                await client.chat("m", "q")
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_a_programs_own_blocking_transport(go_on: threading.Event) -> None:
    def wait() -> None:
        go_on.wait(60)

    for own, limits, kind in (
        (Blocking(wait), Timeouts(total=LIMIT_S), TotalTimeoutError),
        (Blocking(wait), Timeouts(total=30, first_byte=LIMIT_S), FirstByteTimeoutError),
        (Blocking(None, wait), Timeouts(total=LIMIT_S), TotalTimeoutError),
        (Blocking(None, wait), Timeouts(total=30, stall=LIMIT_S), StallTimeoutError),
    ):
        error = blocks_in_time(InferenceClient("http://own", transport=own, timeout=limits))
        assert type(error) is kind


class Ready(Exchange):
    """Returns one block after the other immediately."""

    def __init__(self, *blocks: bytes) -> None:
        super().__init__(lambda: None)
        self._left = cycle(blocks) if len(blocks) == 1 else iter(blocks)

    def read(self) -> Any:
        data = next(self._left, None)
        return None if data is None else Block(data, time.monotonic_ns())


def test_a_late_blocking_reader_gets_the_waiting_data() -> None:
    own = Blocking(None)
    own.exchange = Ready(PIECE, PIECE, PIECE, LAST + DONE)
    client = InferenceClient("http://own", transport=own, timeout=Timeouts(total=30, stall=0.1))
    stream = client.chat_stream("m", "q")
    for _ in stream:
        time.sleep(0.15)  # the reader is busy for longer than the limit
    assert stream.text == "hihihi!"


@pytest.mark.parametrize("data", [b": still here\n\n", PIECE], ids=["comments", "tokens"])
def test_a_blocking_transport_with_endless_data_is_limited(data: bytes) -> None:
    own = Blocking(None)
    own.exchange = Ready(data)
    client = InferenceClient("http://own", transport=own, timeout=LIMIT_S)
    assert type(blocks_in_time(client)) is TotalTimeoutError


@pytest.mark.parametrize("module", [httpx2, httpx], ids=["httpx2", "httpx"])
def test_a_mock_that_blocks(module: Any, go_on: threading.Event) -> None:
    def answer(_: Any) -> Any:
        go_on.wait(60)
        return module.Response(200, content=CHAT)

    def body() -> Iterator[bytes]:
        yield PIECE
        go_on.wait(60)

    for handler in (answer, lambda _: module.Response(200, headers=EVENTS, content=body())):
        http = module.Client(transport=module.MockTransport(handler))
        client = InferenceClient("http://mock", transport=HttpxTransport(http), timeout=LIMIT_S)
        assert type(blocks_in_time(client)) is TotalTimeoutError


def test_an_answer_that_arrives_too_late_is_closed(go_on: threading.Event) -> None:
    closed = threading.Event()

    class Watched(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield CHAT

        def close(self) -> None:
            closed.set()

    def answer(_: Any) -> httpx2.Response:
        go_on.wait(60)
        return httpx2.Response(200, stream=Watched())

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    blocks_in_time(InferenceClient("http://mock", transport=HttpxTransport(http), timeout=0.1))
    go_on.set()
    assert closed.wait(10)


def test_an_abandoned_thread_does_not_delay_the_end_of_the_process() -> None:
    program = """
import time, httpx2
from sdk import InferenceClient, TotalTimeoutError
from sdk.transport.httpx import HttpxTransport
http = httpx2.Client(transport=httpx2.MockTransport(lambda _: time.sleep(60)))
try:
    InferenceClient("http://mock", transport=HttpxTransport(http), timeout=0.2).models()
except TotalTimeoutError:
    print("in time")
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("in time\n", "", 0)


def test_the_threads_of_exchanges_end_with_them() -> None:
    def count() -> int:
        return sum(thread.name == "sdk exchange" for thread in threading.enumerate())

    before = count()
    http = httpx2.Client(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=EVENTS, content=iter([PIECE, PIECE])))
    )
    client = InferenceClient("http://mock", transport=HttpxTransport(http))
    read = client.chat_stream("m", "q")
    next(read)
    read.close()
    forgotten = client.chat_stream("m", "q")
    next(forgotten)
    del forgotten
    gc.collect()
    until = monotonic() + 10
    while count() > before and monotonic() < until:
        time.sleep(0.01)
    assert count() == before


def test_the_errors_of_a_transport_reach_the_caller() -> None:
    def broken() -> None:
        raise ZeroDivisionError("mine")

    async def abroken() -> None:
        broken()

    with pytest.raises(ZeroDivisionError, match="mine"):
        InferenceClient("http://own", transport=Blocking(broken)).chat("m", "q")
    with pytest.raises(ZeroDivisionError, match="mine"):
        asyncio.run(AsyncInferenceClient("http://own", transport=lambda: Async(abroken)).chat("m", "q"))


def test_limits_hold_over_the_fake_transport(go_on: threading.Event) -> None:
    def answer(_: Request) -> FakeAnswer:
        go_on.wait(60)
        return FakeAnswer(200, [CHAT])

    since = monotonic()
    with pytest.raises(TotalTimeoutError):
        InferenceClient("http://fake", transport=FakeTransport(answer), timeout=LIMIT_S).chat("m", "q")
    assert monotonic() - since < AT_MOST_S
    transport = AsyncFakeTransport(lambda _: FakeAnswer(200, [CHAT]))
    client = AsyncInferenceClient("http://fake", transport=lambda: transport)
    assert asyncio.run(client.chat("m", "q")).choices[0].message.content == "hi"
    assert transport.open_exchanges == 0
