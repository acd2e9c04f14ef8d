"""The wire for TLS, and for systems without the kernel's stamps: the SDK's transport, stamped at the read."""

from __future__ import annotations

import asyncio
import contextlib

from bench.health import WireHealth
from bench.target import AsyncExchange, ConnectionLostError, Deadline, DirectTransport, Request
from bench.wire.base import Receiver, WireWatch

_GRACE_S = 1.0


class _Unbounded:
    """A read whose lateness nothing bounds: no doubt is claimed, and the run's health says what it may be."""

    is_sure = True

    def doubt_ns(self) -> int:
        return 0


_UNBOUNDED = _Unbounded()


class PlainWire:
    """Over the SDK's keep-alive connections. Belongs to the running loop."""

    def __init__(self, max_connections: int) -> None:
        self.watch = WireWatch()
        self._transport = DirectTransport(max_connections=max_connections, replay=False)

    async def turn(self) -> None:
        """The event loop is fair by itself."""

    async def carry(self, request: Request, deadline: Deadline, receiver: Receiver) -> None:
        """As `Wire` has it."""
        exchange: AsyncExchange = await self._transport.send(request, deadline)
        receiver.opened = exchange.opened_connection
        receiver.sent(exchange.sent_ns, 0)
        try:
            receiver.begin(exchange.head, exchange.head_ns)
            while (block := await exchange.read()) is not None:
                if receiver.take(block.data, block.arrived_ns, _UNBOUNDED):
                    await _end_of_body(exchange)
                    return
        finally:
            exchange.close()

    def refresh(self) -> None:
        """Nothing to look after."""

    def health(self) -> WireHealth:
        """Nothing but how it stamps: the sockets are the event loop's."""
        return WireHealth(stamps="read")

    async def aclose(self) -> None:
        """Drop every connection."""
        await self._transport.aclose()


async def _end_of_body(exchange: AsyncExchange) -> None:
    """Read past [DONE], so that the connection is free for the next request; without an end in time it is dropped."""
    with contextlib.suppress(TimeoutError, ConnectionLostError):
        async with asyncio.timeout(_GRACE_S):
            while await exchange.read() is not None:
                pass
