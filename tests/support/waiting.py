"""Work that does not end by itself, and calls that must end all the same, on each event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

import pytest
import trio
import uvloop

from sdk import AsyncInferenceClient, InferenceClient, SDKError
from tests.support.at_once import at_once

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


async def ends_in_time(client: AsyncInferenceClient, *, stream: bool = False) -> SDKError:
    """The error that a call ends with."""
    since = monotonic()
    with pytest.raises(SDKError) as caught:
        if stream:
            async for _ in await client.chat_stream("m", "q"):
                pass
        else:
            await client.chat("m", "q")
    assert monotonic() - since < AT_MOST_S
    return caught.value


def blocks_in_time(client: InferenceClient) -> SDKError:
    """The same of a blocking stream."""
    since = monotonic()
    with pytest.raises(SDKError) as caught:
        list(client.chat_stream("m", "q"))
    assert monotonic() - since < AT_MOST_S
    return caught.value
