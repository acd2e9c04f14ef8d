"""Limits hold over clients of httpx2 and httpx on an event loop, whatever their transport: mocks, ASGI applications."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any

import httpx
import httpx2
import pytest
import trio

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
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.waiting import (
    AT_MOST_S,
    EVENTS,
    LIMIT_S,
    RUNS,
    WAITS,
    asyncio_runs,
    ends_in_time,
    forever,
    never,
    on_every_loop,
    stubborn,
    together,
)
from tests.unit.sdk.api import PIECE


class Body(httpx2.AsyncByteStream, httpx.AsyncByteStream):
    """A token, and then a wait."""

    def __init__(self, wait: Callable[[], Awaitable[Any]], closing: Callable[[], Awaitable[Any]] | None = None) -> None:
        self._wait = wait
        self._closing = closing

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield PIECE
        await self._wait()

    async def aclose(self) -> None:
        if self._closing is not None:
            await self._closing()


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
    """The error of a call with each kind of limit, on each loop, over such a client of each package."""
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
    """Checks that each error is that of the limit in question: the total or the other one."""
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


def test_a_mock_that_stops_in_the_middle_of_a_stream() -> None:
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


def test_a_body_that_cannot_be_closed() -> None:
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


def test_the_clients_own_timeout_is_reported_as_such() -> None:
    for error, kind in (
        (httpx2.ConnectTimeout("slow"), ConnectTimeoutError),
        (httpx2.ReadTimeout("slow"), FirstByteTimeoutError),
    ):

        def refuse(_: Any, error: Exception = error) -> Any:
            raise error

        client = InferenceClient(
            "http://app", transport=HttpxTransport(httpx2.Client(transport=httpx2.MockTransport(refuse)))
        )
        with pytest.raises(kind, match=f"the HTTP client's own timeout passed .{type(error).__name__}: slow"):
            client.models()


def test_a_cancelled_call_raises_cancellation_rather_than_a_timeout() -> None:
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


def test_an_interrupted_call_does_not_leave_its_task_cancelled() -> None:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(stubborn))

    async def main() -> int:
        client = AsyncInferenceClient("http://app", transport=lambda: AsyncHttpxTransport(http), timeout=LIMIT_S)
        await ends_in_time(client)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert asyncio.run(main()) == 0
