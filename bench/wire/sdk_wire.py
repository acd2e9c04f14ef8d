"""The wire for TLS and for systems without kernel stamps: the SDK's connections, with the time of the read."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic_ns

from bench.records.health import WireHealth
from bench.target import (
    ConnectionLostError,
    Deadline,
    DirectExchange,
    Pool,
    PoolConnection,
    Request,
    SDKError,
    encode_request,
)
from bench.wire.base import GRACE_S, PATIENCE_S, Receiver, WireWatch, may_reopen


class _Unbounded:
    """A read whose lateness is not bounded: it claims no doubt, and the run's health reports how it was stamped."""

    is_sure = True

    def doubt_ns(self) -> int:
        return 0


_UNBOUNDED = _Unbounded()


class SdkWire:
    """Uses the SDK's keep-alive connections. Belongs to the running loop."""

    def __init__(self, max_connections: int) -> None:
        self.watch = WireWatch()
        self._pool = Pool(max_connections=2 * max_connections)  # some may still receive the end of an answer
        self._drains: set[asyncio.Task[None]] = set()

    async def turn(self) -> None:
        """Return immediately: the event loop is fair."""

    async def carry(self, request: Request, deadline: Deadline, receiver: Receiver) -> None:
        """See `Wire`."""
        exchange = await self._send(request, deadline, receiver)
        try:
            receiver.begin(exchange.head, exchange.head_ns)
            while (block := await exchange.read()) is not None:
                if receiver.take(block.data, block.arrived_ns, _UNBOUNDED):
                    await self._wait_for_end(exchange)
                    return
            exchange.close()
        except BaseException:
            exchange.close()
            raise
        finally:
            receiver.timing.freed_ns = monotonic_ns()

    def refresh(self) -> None:
        """Do nothing."""

    def health(self) -> WireHealth:
        """Only how it stamps; the sockets belong to the event loop."""
        return WireHealth(stamps="read")

    async def aclose(self) -> None:
        """Drop every connection."""
        for drain in self._drains:
            drain.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        await self._pool.aclose()

    async def _send(self, request: Request, deadline: Deadline, receiver: Receiver) -> DirectExchange:
        """Send, on another connection if a kept one turns out to be dead, and wait for the head."""
        payload = encode_request(request)
        began_ns = monotonic_ns()
        connection, opened = await self._acquire(request, deadline, receiver, began_ns, fresh=False)
        exchange = connection.start(payload, deadline, opened=opened)
        receiver.sent(exchange.sent_ns, 0)
        try:
            await exchange.head_arrived()
        except ConnectionLostError:
            now_ns, has_bytes = monotonic_ns(), exchange.has_bytes
            if not may_reopen(reused=not opened, has_bytes=has_bytes, sent_ns=exchange.sent_ns, now_ns=now_ns):
                raise
            receiver.timing.reopened = True
            connection, _ = await self._acquire(request, deadline, receiver, began_ns, fresh=True)
            exchange = connection.start(payload, deadline, opened=True)
            receiver.sent(exchange.sent_ns, 0)
            await exchange.head_arrived()
        return exchange

    async def _acquire(
        self, request: Request, deadline: Deadline, receiver: Receiver, began_ns: int, *, fresh: bool
    ) -> tuple[PoolConnection, bool]:
        """A connection, and whether it was opened; the time this takes counts as spent on the server."""
        opened = False
        try:
            connection, opened = await self._pool.acquire(request.origin, deadline, fresh=fresh)
        except SDKError:
            opened = True  # the bench tried to
            raise
        finally:
            receiver.timing.opened = receiver.timing.opened or opened
            if opened:
                receiver.timing.waited_ns = monotonic_ns() - began_ns
        return connection, opened

    async def _wait_for_end(self, exchange: DirectExchange) -> None:
        """Wait a little for the end of the body, so that the next request can use the connection."""
        reading = asyncio.ensure_future(_read_to_end(exchange))
        self._drains.add(reading)
        reading.add_done_callback(self._drains.discard)
        done, _ = await asyncio.wait({reading}, timeout=PATIENCE_S)
        if not done:
            asyncio.get_running_loop().call_later(GRACE_S, exchange.close)


async def _read_to_end(exchange: DirectExchange) -> None:
    with contextlib.suppress(SDKError):
        while await exchange.read() is not None:
            pass
