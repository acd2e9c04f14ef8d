"""The primitives of event loops, the same on asyncio and trio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from math import inf
from types import TracebackType
from typing import Any, Protocol

Later = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]


def running_loop() -> Any:
    """An object that represents the running loop: asyncio's event loop, or trio's root task."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        trio: Any = sys.modules.get("trio")  # code that runs in trio has imported it
        if trio is None:
            raise
        return trio.lowlevel.current_root_task()


async def sleep(seconds: float) -> None:
    """Sleep on the running loop."""
    if isinstance(running_loop(), asyncio.AbstractEventLoop):
        await asyncio.sleep(seconds)
    else:
        import trio

        await trio.sleep(seconds)


def event() -> Any:
    """An event of the running loop."""
    if isinstance(running_loop(), asyncio.AbstractEventLoop):
        return asyncio.Event()
    import trio

    return trio.Event()


async def wait(event: Any, seconds: float | None) -> bool:
    """Wait for an event of the running loop; returns whether it was set in time."""
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
    """A function that starts a coroutine on the current loop, from any thread and without waiting for it."""
    loop = running_loop()
    if isinstance(loop, asyncio.AbstractEventLoop):
        tasks: set[asyncio.Task[None]] = set()

        def start(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
            task = _begin(loop, make())
            tasks.add(task)  # a loop holds only weak references to its tasks
            task.add_done_callback(tasks.discard)

        return lambda make: loop.call_soon_threadsafe(start, make)

    import trio

    token = trio.lowlevel.current_trio_token()

    def spawn(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with suppress(RuntimeError):  # the run is ending, and closes everything itself
            trio.lowlevel.spawn_system_task(make)

    def later_on_trio(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(spawn, make)

    return later_on_trio


def _begin(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task at once where Python allows it, because a loop that ends drops tasks that have not begun."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)


class Alarm(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> object: ...


def alarm(seconds: float, ring: Callable[[], None]) -> Alarm:
    """Call `ring` on the running loop after `seconds`."""
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
    """A block that its task leaves after `interrupt`; other cancellations still take effect."""

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
        assert task is not None  # noqa: S101 - a coroutine on asyncio runs in a task
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
