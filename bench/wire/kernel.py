"""The wire for plaintext on Linux: keep-alive connections whose reads include the kernel's receive stamps."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import deque
from time import monotonic_ns
from typing import Any

from bench.records.health import WireHealth
from bench.target import (
    IDLE_S,
    ConnectError,
    ConnectionLostError,
    Deadline,
    Origin,
    Request,
    connect_error,
    encode_request,
)
from bench.units import NS_PER_MS, NS_PER_S
from bench.wire.base import PieceReceiver, WireWatch, may_reopen
from bench.wire.clock import KernelClock
from bench.wire.connection import KernelConnection
from bench.wire.drain import ConnectionDrain
from bench.wire.exchange import KernelExchange
from bench.wire.poller import Poller

_IDLE_NS = int(IDLE_S * NS_PER_S)

# How many connections may be drained at the same time.
_MOST_DRAINS = 64

_Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class KernelWire:
    """One connection per request in progress, each used again. Belongs to the running loop."""

    def __init__(self, origin: Origin) -> None:
        self.watch = WireWatch()
        self._origin = origin
        self._loop = asyncio.get_running_loop()
        self.clock = KernelClock()
        self._poller = Poller(self._loop)
        self._addresses: list[_Address] = []
        self._connections: set[KernelConnection] = set()
        self._free: list[KernelConnection] = []
        self._drains: deque[tuple[KernelConnection, ConnectionDrain]] = deque()

    async def turn(self) -> None:
        """See `Wire`."""
        await self._poller.turn()

    async def carry(self, request: Request, deadline: Deadline, receiver: PieceReceiver) -> None:
        """See `Wire`."""
        payload = encode_request(request)
        began_ns = monotonic_ns()
        kept = self._take_free()
        if kept is not None:
            if await self._exchange(kept, payload, deadline, receiver, reused=True):
                return
            receiver.timing.reopened = True
        receiver.timing.opened = True
        try:
            connection = await self._connect(deadline)
        finally:
            receiver.timing.waited_ns = monotonic_ns() - began_ns
        await self._exchange(connection, payload, deadline, receiver, reused=False)

    async def _exchange(
        self, connection: KernelConnection, payload: bytes, deadline: Deadline, receiver: PieceReceiver, *, reused: bool
    ) -> bool:
        """Send and receive on a connection. Returns false if it was already dead, so that another may be opened."""
        exchange = KernelExchange(connection, deadline, receiver, self._loop)
        started_ns = monotonic_ns()
        try:
            connection.start(exchange, payload)
        except OSError as error:
            exchange.feed_eof(error)
        try:
            await exchange.ended
        except asyncio.CancelledError:
            exchange.cancel()
            raise
        except ConnectionLostError:
            has_bytes = exchange.parser.has_bytes
            if may_reopen(reused=reused, has_bytes=has_bytes, sent_ns=started_ns, now_ns=exchange.over_ns):
                return False
            raise
        finally:
            receiver.timing.freed_ns = exchange.over_ns
            self._give_back(connection, exchange)
        return True

    def refresh(self) -> None:
        """Follow the clocks, and see which sockets are empty."""
        self._poller.glance()
        step_ns = self.clock.refresh()
        if step_ns is not None:
            self.watch.clock_steps_ns.append(step_ns)

    def health(self) -> WireHealth:
        """See `Wire`."""
        watch = self.watch
        return WireHealth(
            stamps="kernel",
            read_lag=watch.lag.lags(),
            unstamped_reads=watch.unstamped,
            clock_error_ms=self.clock.error_ns / NS_PER_MS,
            clock_steps_ms=[step_ns / NS_PER_MS for step_ns in watch.clock_steps_ns],
            retransmits=watch.retransmits + sum(connection.retransmits() for connection in self._connections),
        )

    async def aclose(self) -> None:
        """Drop every connection."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._poller.close()

    def _take_free(self) -> KernelConnection | None:
        oldest_ns = monotonic_ns() - _IDLE_NS
        while self._free:
            connection = self._free.pop()
            if connection.is_open and connection.free_since_ns > oldest_ns:
                return connection
            connection.close()
            self._connections.discard(connection)
        return None

    def _give_back(self, connection: KernelConnection, exchange: KernelExchange) -> None:
        if connection.is_open and not exchange.parser.complete:  # the end of the body has not arrived yet
            self._drains.append((connection, ConnectionDrain(connection, exchange.parser, self._loop, self._set_free)))
            if len(self._drains) > _MOST_DRAINS:
                self._drains[0][1].stop()
        else:
            exchange.parser.discard()
            self._set_free(connection)

    def _set_free(self, connection: KernelConnection) -> None:
        if self._drains:
            self._drains = deque(drain for drain in self._drains if drain[0] is not connection)
        if connection.is_open:
            connection.free_since_ns = monotonic_ns()
            self._free.append(connection)
        else:
            self._connections.discard(connection)

    async def _connect(self, deadline: Deadline) -> KernelConnection:
        deadline.enter("connect")
        try:
            async with asyncio.timeout(deadline.remaining_s()):
                connection = KernelConnection(await self._open(), self._poller, self.clock, self.watch)
        except TimeoutError as error:
            expired = deadline.error()
            if expired is None:  # the kernel's limit, which is shorter than ours
                raise ConnectError(f"nothing answers at {self._origin} (timed out)") from error
            raise expired from None
        except OSError as error:
            raise connect_error(self._origin, error) from error
        self._connections.add(connection)
        return connection

    async def _open(self) -> socket.socket:
        """A socket connected to the first address of the host that answers. Raises OSError."""
        addresses = self._addresses or await self._resolve()
        for position, (family, address) in enumerate(addresses):
            opened = socket.socket(family, socket.SOCK_STREAM)
            opened.setblocking(False)
            try:
                await self._loop.sock_connect(opened, address)
            except BaseException as error:
                opened.close()
                if isinstance(error, OSError) and position + 1 < len(addresses):
                    continue
                raise
            self._addresses = [(family, address)]
            return opened
        raise OSError(f"{self._origin.host} has no address")

    async def _resolve(self) -> list[_Address]:
        host, port = self._origin.host, self._origin.port
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return [(family, address) for family, _, _, _, address in found]
        return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]
