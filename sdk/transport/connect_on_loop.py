"""`connect` for an asyncio event loop; a module of its own, because blocking programs do not need asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from concurrent.futures import Future
from time import monotonic_ns

from sdk.deadline import Deadline
from sdk.transport.base import Origin
from sdk.transport.connect import next_wait
from sdk.transport.lookup import Addresses, literal, look_ups
from sdk.transport.race import Race


async def connect_on_loop(origin: Origin, deadline: Deadline) -> socket.socket:
    """A connected, non-blocking socket. Raises OSError, or the RequestTimeoutError of the limit that passed."""
    loop = asyncio.get_running_loop()
    addresses = literal(origin.host, origin.port)
    if addresses is None:
        addresses = await _looked_up(look_ups.begin(origin.host, origin.port), loop, deadline)
    race = Race(addresses)
    try:
        is_late = False
        while (connected := race.step(monotonic_ns())) is None:
            if is_late:
                raise deadline.late_error()
            wait_s, is_late = next_wait(race, deadline)
            await _any_writable(list(race.pending), loop, wait_s)
            is_late = is_late and deadline.error() is not None
        return connected
    except BaseException:
        race.close()
        raise


async def _looked_up(future: Future[Addresses], loop: asyncio.AbstractEventLoop, deadline: Deadline) -> Addresses:
    done = asyncio.Event()

    def wake(_: Future[Addresses]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(done.set)

    future.add_done_callback(wake)
    try:
        async with asyncio.timeout(deadline.remaining_s()):
            await done.wait()
    except TimeoutError:
        if not future.done():
            raise deadline.late_error() from None
    return future.result()


async def _any_writable(fds: list[int], loop: asyncio.AbstractEventLoop, wait_s: float | None) -> None:
    """Wait until one of them is writable, at most for `wait_s`."""
    change = loop.create_future()

    def wake() -> None:
        if not change.done():
            change.set_result(None)

    timer = None if wait_s is None else loop.call_later(wait_s, wake)
    for fd in fds:
        loop.add_writer(fd, wake)
    try:
        await change
    finally:
        for fd in fds:
            loop.remove_writer(fd)
        if timer is not None:
            timer.cancel()
