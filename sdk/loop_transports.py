"""One transport for each event loop, of asyncio or trio: created on first use, closed when its loop ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from sdk.transport.base import AsyncTransport
from sdk.transport.event_loop import Later, later, running_loop

_Entry = tuple[AsyncTransport, AsyncGenerator[None, None], Later | None]


# Trio warns about a generator that is dropped before its end, so these are held until they are closed.
_LEFT: set[Any] = set()


class LoopTransports:
    """Transports by event loop. `make_for_trio` replaces `make` on trio, because the direct transport needs asyncio."""

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
        # asyncio closes a dropped generator without help, and nothing stored here may keep the loop alive
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
        """Close the transport of the running loop; the next call creates another."""
        entry = self._by_loop.pop(running_loop(), None)
        if entry is not None:
            await entry[1].aclose()


def _bounded(transport: AsyncTransport) -> AsyncTransport:
    """The transport; unless it enforces the limits of its calls itself, they are enforced from outside."""
    if getattr(transport, "keeps_limits", False) is True:
        return transport
    from sdk.transport.bounded import BoundedTransport  # few programs have a transport of their own

    return BoundedTransport(transport)


async def _close_when_loop_ends(transport: AsyncTransport) -> AsyncGenerator[None, None]:
    """Closes the transport with its loop: both asyncio and trio close a started generator before they end (PEP 525)."""
    try:
        yield
    finally:
        await transport.aclose()


async def _close(closer: AsyncGenerator[None, None]) -> None:
    await closer.aclose()
