"""Limits hold over transports that keep none: mocks, ASGI applications, and whatever a program brings along."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from itertools import cycle
from time import monotonic
from typing import Any

import httpx
import httpx2
import pytest
import trio
import uvloop

from sdk import (
    AsyncInferenceClient,
    ConnectTimeoutError,
    FirstByteTimeoutError,
    InferenceClient,
    SDKError,
    StallTimeoutError,
    Timeouts,
    TotalTimeoutError,
)
from sdk.deadline import Deadline
from sdk.transport.base import Block, Head, Request
from sdk.transport.fake import AsyncFakeTransport, FakeAnswer, FakeTransport
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.at_once import at_once
from tests.support.serving import ROOT
from tests.unit.sdk.api import CHAT, DONE, LAST, PIECE

LIMIT_S = 0.3
AT_MOST_S = 5.0
EVENTS = {"content-type": "text/event-stream"}
RUNS: dict[str, Callable[[Any], Any]] = {
    "asyncio": asyncio.run,
    "uvloop": uvloop.run,
    "trio": lambda coroutine: trio.run(lambda: coroutine),
}


def together(cases: dict[Any, Callable[[], Any]]) -> dict[Any, Any]:
    """What each gives, run at the same time."""
    results = at_once(cases)
    gc.collect()  # what was left open is remarked on now
    return results


def on_every_loop(main: Callable[..., Any], *variants: Any) -> dict[Any, Any]:
    """What the coroutine gives on each event loop, with each of these arguments."""
    return together(
        {
            (name, *variant): partial(lambda run, variant: run(main(*variant)), run, variant)
            for name, run in RUNS.items()
            for variant in variants
        }
    )


async def forever() -> None:
    """On whichever loop runs."""
    if asyncio_runs():
        await asyncio.sleep(3600)
    else:
        await trio.sleep(3600)


def asyncio_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def never(*_: Any) -> Any:
    await forever()


async def stubborn(*_: Any) -> Any:
    """Swallows every cancellation."""
    while True:
        with contextlib.suppress(asyncio.CancelledError, trio.Cancelled):
            await forever()


async def sulking(*_: Any) -> Any:
    """Makes an error of its own of a cancellation."""
    try:
        await forever()
    except (asyncio.CancelledError, trio.Cancelled):
        raise RuntimeError("do not disturb") from None


async def slow_to_leave(*_: Any) -> Any:
    """Does something slow when it is cancelled."""
    try:
        await forever()
    finally:
        if asyncio_runs():
            await asyncio.sleep(3600)


WAITS = {"never": never, "stubborn": stubborn, "sulking": sulking, "slow to leave": slow_to_leave}


class Body(httpx2.AsyncByteStream, httpx.AsyncByteStream):
    """A token, and then whatever it waits for."""

    def __init__(self, wait: Callable[[], Awaitable[Any]], closing: Callable[[], Awaitable[Any]] | None = None) -> None:
        self._wait = wait
        self._closing = closing

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield PIECE
        await self._wait()

    async def aclose(self) -> None:
        if self._closing is not None:
            await self._closing()


async def ends_in_time(client: AsyncInferenceClient, *, stream: bool = False) -> SDKError:
    since = monotonic()
    with pytest.raises(SDKError) as caught:
        if stream:
            async for _ in await client.chat_stream("m", "q"):
                pass
        else:
            await client.chat("m", "q")
    assert monotonic() - since < AT_MOST_S
    return caught.value


def asked(run: Callable[[Any], Any], http: Any, *, stream: bool = False, **limits: float) -> SDKError:
    """The error of a call over a client; the loop has ended by then."""

    async def main() -> SDKError:
        client = AsyncInferenceClient(
            "http://app", transport=lambda: AsyncHttpxTransport(http), timeout=Timeouts(**limits)
        )
        error = await ends_in_time(client, stream=stream)
        await client.aclose()
        return error

    since = monotonic()
    error: SDKError = run(main())
    assert monotonic() - since < AT_MOST_S, "the end of the loop was held up"
    return error


MODULES = {"httpx2": httpx2, "httpx": httpx}
TOTAL: dict[str, float] = {"total": LIMIT_S}


def every_way(transport: Callable[[Any, Any], Any], waits: list[str], *, stream: bool = False) -> dict[Any, SDKError]:
    """The error of a call with each kind of limit, on each loop, over a client of each package that waits so."""
    other = {"total": 30, "stall" if stream else "first_byte": LIMIT_S}
    return together(
        {
            (module, loop, wait, limit): partial(
                asked,
                run,
                MODULES[module].AsyncClient(transport=transport(MODULES[module], WAITS[wait])),
                stream=stream,
                **limits,
            )
            for module in MODULES
            for loop, run in RUNS.items()
            for wait in waits
            for limit, limits in (("total", TOTAL), ("other", other))
        }
    )


def kinds(errors: dict[Any, SDKError], kind: type[SDKError]) -> None:
    """Checks that each is of the total limit or of the other one, as was asked for."""
    wrong = {
        case: error
        for case, error in errors.items()
        if type(error) is not (TotalTimeoutError if case[-1] == "total" else kind)
    }
    assert wrong == {}


def test_a_mock_that_never_answers() -> None:
    kinds(every_way(lambda module, wait: module.MockTransport(wait), list(WAITS)), FirstByteTimeoutError)


def test_an_asgi_application_that_never_answers() -> None:
    kinds(every_way(lambda module, wait: module.ASGITransport(app=wait), ["never", "stubborn"]), FirstByteTimeoutError)


def test_a_mock_that_falls_silent_in_the_middle_of_a_stream() -> None:
    def mock(module: Any, wait: Any) -> Any:
        return module.MockTransport(lambda _: module.Response(200, headers=EVENTS, stream=Body(wait)))

    errors = every_way(mock, list(WAITS), stream=True)
    kinds(errors, StallTimeoutError)
    assert {error.partial for error in errors.values()} == {"hi"}


def test_a_body_that_goes_on_after_its_interruption_is_limited_again() -> None:
    async def grudging() -> AsyncIterator[bytes]:
        yield PIECE
        with contextlib.suppress(asyncio.CancelledError, trio.Cancelled):
            await forever()
        yield PIECE
        await forever()

    def http() -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=EVENTS, content=grudging()))
        )

    errors = together(
        {loop: partial(asked, run, http(), stream=True, total=30, stall=LIMIT_S) for loop, run in RUNS.items()}
    )
    assert {(type(error), error.partial) for error in errors.values()} == {(StallTimeoutError, "hihi")}


def test_a_body_that_does_not_let_itself_be_closed() -> None:
    http = httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=EVENTS, stream=Body(never, never)))
    )

    async def leave() -> None:
        client = AsyncInferenceClient("http://app", transport=lambda: AsyncHttpxTransport(http))
        since = monotonic()
        async with await client.chat_stream("m", "q") as stream:
            await anext(stream)
        assert monotonic() - since < AT_MOST_S

    on_every_loop(leave, ())
    errors = together({loop: partial(asked, run, http, stream=True, **TOTAL) for loop, run in RUNS.items()})
    assert {type(error) for error in errors.values()} == {TotalTimeoutError}


def test_a_body_that_never_lets_the_loop_run() -> None:
    async def chatter() -> AsyncIterator[bytes]:
        while True:
            yield b": still here\n\n"

    http = httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=EVENTS, content=chatter()))
    )
    assert type(asked(asyncio.run, http, stream=True, total=LIMIT_S)) is TotalTimeoutError


def test_a_limit_of_the_clients_own_is_told_as_such() -> None:
    for error, kind in (
        (httpx2.ConnectTimeout("slow"), ConnectTimeoutError),
        (httpx2.ReadTimeout("slow"), FirstByteTimeoutError),
    ):

        def refuse(_: Any, error: Exception = error) -> Any:
            raise error

        client = InferenceClient(
            "http://app", transport=HttpxTransport(httpx2.Client(transport=httpx2.MockTransport(refuse)))
        )
        with pytest.raises(kind, match=f"a limit of its own .{type(error).__name__}: slow"):
            client.models()


def test_a_cancelled_call_is_cancelled_and_not_late() -> None:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(never))

    async def main() -> None:
        client = AsyncInferenceClient("http://app", transport=lambda: AsyncHttpxTransport(http), timeout=30)
        if asyncio_runs():
            task = asyncio.ensure_future(client.chat("m", "q"))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await client.chat("m", "q")
        else:
            with trio.move_on_after(0.01) as scope:
                await client.chat("m", "q")
            assert scope.cancelled_caught

    on_every_loop(main, ())


def test_a_call_that_was_interrupted_leaves_its_task_uncancelled() -> None:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(stubborn))

    async def main() -> int:
        client = AsyncInferenceClient("http://app", transport=lambda: AsyncHttpxTransport(http), timeout=LIMIT_S)
        await ends_in_time(client)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert asyncio.run(main()) == 0


# transports of a program's own


class Exchange:
    """A token, and then what `wait` does; async where that is."""

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


def test_an_async_transport_of_a_programs_own() -> None:
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


def blocks_in_time(client: InferenceClient) -> SDKError:
    since = monotonic()
    with pytest.raises(SDKError) as caught:
        list(client.chat_stream("m", "q"))
    assert monotonic() - since < AT_MOST_S
    return caught.value


def test_a_blocking_transport_of_a_programs_own(go_on: threading.Event) -> None:
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
    """Has one block after the other at once."""

    def __init__(self, *blocks: bytes) -> None:
        super().__init__(lambda: None)
        self._left = cycle(blocks) if len(blocks) == 1 else iter(blocks)

    def read(self) -> Any:
        data = next(self._left, None)
        return None if data is None else Block(data, time.monotonic_ns())


def test_a_blocking_reader_that_was_busy_finds_what_is_there() -> None:
    own = Blocking(None)
    own.exchange = Ready(PIECE, PIECE, PIECE, LAST + DONE)
    client = InferenceClient("http://own", transport=own, timeout=Timeouts(total=30, stall=0.1))
    stream = client.chat_stream("m", "q")
    for _ in stream:
        time.sleep(0.15)  # the reader is busy for longer than the limit
    assert stream.text == "hihihi!"


@pytest.mark.parametrize("data", [b": still here\n\n", PIECE], ids=["comments", "tokens"])
def test_a_blocking_transport_that_always_has_something_is_limited(data: bytes) -> None:
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


def test_an_answer_that_comes_too_late_is_closed(go_on: threading.Event) -> None:
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


def test_a_thread_that_was_left_behind_does_not_hold_up_the_end_of_the_process() -> None:
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


def test_what_a_transport_raises_comes_through() -> None:
    def broken() -> None:
        raise ZeroDivisionError("mine")

    async def abroken() -> None:
        broken()

    with pytest.raises(ZeroDivisionError, match="mine"):
        InferenceClient("http://own", transport=Blocking(broken)).chat("m", "q")
    with pytest.raises(ZeroDivisionError, match="mine"):
        asyncio.run(AsyncInferenceClient("http://own", transport=lambda: Async(abroken)).chat("m", "q"))


def test_the_transport_for_tests_is_bounded_too(go_on: threading.Event) -> None:
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
