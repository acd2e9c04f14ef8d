"""One transport for each event loop, of asyncio or trio: made when first asked for, closed when its loop ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from math import inf
from types import TracebackType
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from sdk.transport.base import AsyncTransport

Later = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
_Entry = tuple[AsyncTransport, AsyncGenerator[None, None], Later | None]


# Trio warns of a generator that is dropped before its end: those are held until they are closed.
_LEFT: set[Any] = set()


class LoopTransports:
    """Transports by event loop. `make_for_trio` is used there instead: the direct transport is asyncio's own."""

    def __init__(self, make: Callable[[], AsyncTransport], make_for_trio: Callable[[], AsyncTransport]) -> None:
        self._make = make
        self._make_for_trio = make_for_trio
        self._by_loop: WeakKeyDictionary[Any, _Entry] = WeakKeyDictionary()

    async def of_running_loop(self) -> AsyncTransport:
        """The transport of the running loop."""
        loop = running_loop()
        entry = self._by_loop.get(loop)
        if entry is not None:
            return entry[0]
        is_asyncio = isinstance(loop, asyncio.AbstractEventLoop)
        for ended in [other for other in self._by_loop if isinstance(other, asyncio.AbstractEventLoop)]:
            if ended.is_closed():
                del self._by_loop[ended]
        transport = _bounded(self._make() if is_asyncio else self._make_for_trio())
        closer = _close_when_loop_ends(transport)
        # asyncio closes what is dropped by itself, and nothing kept here may hold the loop
        self._by_loop[loop] = (transport, closer, None if is_asyncio else later())
        await anext(closer)
        return transport

    def __del__(self) -> None:
        for _, closer, start in self._by_loop.values():
            if start is not None:
                _LEFT.add(closer)
                start(partial(_close, closer))
        _LEFT.difference_update([closer for closer in _LEFT if closer.ag_frame is None])

    async def aclose(self) -> None:
        """Close the transport of the running loop; the next call makes another."""
        entry = self._by_loop.pop(running_loop(), None)
        if entry is not None:
            await entry[1].aclose()


def _bounded(transport: AsyncTransport) -> AsyncTransport:
    """The transport, with its calls' limits enforced from outside unless it enforces them itself."""
    if getattr(transport, "keeps_limits", False) is True:
        return transport
    from sdk.transport.bounded import BoundedTransport  # few programs have a transport of their own

    return BoundedTransport(transport)


async def _close_when_loop_ends(transport: AsyncTransport) -> AsyncGenerator[None, None]:
    """Once started, an async generator is closed by its loop before the loop ends (PEP 525), on trio as on asyncio."""
    try:
        yield
    finally:
        await transport.aclose()


async def _close(closer: AsyncGenerator[None, None]) -> None:
    await closer.aclose()


def running_loop() -> Any:
    """What stands for the running loop: asyncio's event loop, or trio's root task."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        trio: Any = sys.modules.get("trio")  # whoever runs in trio has imported it
        if trio is None:
            raise
        return trio.lowlevel.current_root_task()


async def sleep(seconds: float) -> None:
    """Sleep on whichever loop runs."""
    if isinstance(running_loop(), asyncio.AbstractEventLoop):
        await asyncio.sleep(seconds)
    else:
        import trio

        await trio.sleep(seconds)


def event() -> Any:
    """An event of whichever loop runs."""
    if isinstance(running_loop(), asyncio.AbstractEventLoop):
        return asyncio.Event()
    import trio

    return trio.Event()


async def wait(event: Any, seconds: float | None) -> bool:
    """Wait for an event of the running loop; whether it came in time."""
    if isinstance(running_loop(), asyncio.AbstractEventLoop):
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
    else:
        import trio

        with trio.move_on_after(inf if seconds is None else seconds):
            await event.wait()
    return bool(event.is_set())


def later() -> Later:
    """A function that starts a coroutine on the loop running now, from any thread and without waiting for it."""
    loop = running_loop()
    if isinstance(loop, asyncio.AbstractEventLoop):
        tasks: set[asyncio.Task[None]] = set()

        def start(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
            task = loop.create_task(make())
            tasks.add(task)  # a loop holds its tasks weakly
            task.add_done_callback(tasks.discard)

        return lambda make: loop.call_soon_threadsafe(start, make)

    import trio

    token = trio.lowlevel.current_trio_token()

    def spawn(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with suppress(RuntimeError):  # the run is at its end, and closes all it has itself
            trio.lowlevel.spawn_system_task(make)

    def later_on_trio(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(spawn, make)

    return later_on_trio


class Alarm(Protocol):
    """Something that rings later unless it is cancelled."""

    def cancel(self) -> object: ...


def alarm(seconds: float, ring: Callable[[], None]) -> Alarm:
    """Call `ring` after that time on the running loop."""
    loop = running_loop()
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.call_later(seconds, ring)
    import trio

    scope = trio.CancelScope()

    async def wait_and_ring() -> None:
        with scope:
            await trio.sleep(seconds)
            ring()

    trio.lowlevel.spawn_system_task(wait_and_ring)
    return scope


def next_turn(do: Callable[[], None]) -> None:
    """Call `do` in the next turn of the running loop."""
    loop = running_loop()
    if isinstance(loop, asyncio.AbstractEventLoop):
        loop.call_soon(do)
    else:
        import trio

        trio.lowlevel.current_trio_token().run_sync_soon(do)


class Interruption(Protocol):
    """A block that its task leaves when `interrupt` is called; cancellations from elsewhere still take effect."""

    def interrupt(self) -> None: ...
    def __enter__(self) -> Any: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool: ...


def interruption() -> Interruption:
    """An interruption for the running loop."""
    return _TaskInterruption() if isinstance(running_loop(), asyncio.AbstractEventLoop) else _ScopeInterruption()


class _TaskInterruption:
    """On asyncio: cancels the task, as `asyncio.timeout` does."""

    __slots__ = ("_cancelling", "_interrupts", "_task")

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - what is awaited on asyncio runs in a task
        self._task, self._cancelling, self._interrupts = task, task.cancelling(), 0

    def interrupt(self) -> None:
        self._interrupts += 1
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not self._interrupts:
            return False
        for _ in range(self._interrupts):
            cancelling = self._task.uncancel()
        return isinstance(error, asyncio.CancelledError) and cancelling <= self._cancelling


class _ScopeInterruption:
    """On trio: a cancel scope."""

    __slots__ = ("_scope",)

    def __enter__(self) -> None:
        import trio

        self._scope = trio.CancelScope()
        self._scope.__enter__()

    def interrupt(self) -> None:
        self._scope.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return bool(self._scope.__exit__(kind, error, trace))
