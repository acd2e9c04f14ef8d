"""Keep-alive connections of one event loop, by origin: last in, first out, with a fair queue if all are busy."""

from __future__ import annotations

import asyncio
import socket
import ssl
from operator import attrgetter
from time import monotonic_ns
from typing import Any

from sdk.deadline import LONGEST_S, SECOND_NS, Deadline
from sdk.errors import ConnectionLostError, SDKError
from sdk.transport.base import Origin
from sdk.transport.connect_errors import connect_error
from sdk.transport.connect_on_loop import connect_on_loop
from sdk.transport.connection import READ_BYTES, BufferedConnection, Connection
from sdk.transport.origin_pool import IDLE_S, MAX_CONNECTIONS, OriginPool

_Waiter = asyncio.Future[Connection | None]
_OriginPool = OriginPool[Connection, _Waiter]
_is_usable = attrgetter("is_usable")


class Pool:
    """Lends connections, at most `max_connections` for each origin.

    It belongs to the loop that first uses it. Requests that wait for a connection are served in turn.
    """

    def __init__(
        self,
        *,
        max_connections: int = MAX_CONNECTIONS,
        idle_s: float = IDLE_S,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._idle_ns = int(idle_s * SECOND_NS)
        self._ssl_context = ssl_context
        self._by_origin: dict[Origin, _OriginPool] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._connections: set[Connection] = set()
        # Shared by all connections: each empties them before the next one reads.
        self._body: list[bytes] = []
        self._read_buffer: memoryview | None = None
        self._emptied: asyncio.Future[None] | None = None
        self.closes: int = 0
        """How often it was closed: a request from before that must not get a connection afterwards."""

    @property
    def in_use(self) -> int:
        """Connections that carry an exchange or are being made."""
        return sum(origin_pool.in_use for origin_pool in self._by_origin.values())

    @property
    def idle(self) -> int:
        """Open connections that wait for a request."""
        return sum(len(origin_pool.free) for origin_pool in self._by_origin.values())

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return sum(len(origin_pool.waiters) for origin_pool in self._by_origin.values())

    def __repr__(self) -> str:
        origins = ", ".join(map(str, self._by_origin)) or "no origin"
        return f"<Pool {origins}: {self.in_use} in use, {self.idle} idle, {self.waiting} waiting>"

    async def acquire(self, origin: Origin, deadline: Deadline, *, fresh: bool = False) -> tuple[Connection, bool]:
        """A connection for one exchange, and whether it is new (always with `fresh`).

        Raises PoolTimeoutError, ConnectTimeoutError, TotalTimeoutError, ConnectError or TLSError.
        """
        origin_pool = self._by_origin.get(origin)
        if origin_pool is None:
            origin_pool = self._by_origin[origin] = OriginPool(self._max_connections, self._idle_ns)
        if not fresh and origin_pool.free:
            connection, useless = origin_pool.take_free(monotonic_ns(), _is_usable)
            for other in useless:
                other.abort()
            if connection is not None:
                return connection, False
        if not origin_pool.take_place():
            closes = self.closes
            handed = await self._wait_turn(origin_pool, deadline)
            if closes != self.closes:
                if handed is None:  # a connection was dropped, and its place with it
                    self._give_up_place(origin_pool)
                raise ConnectionLostError(f"the client was closed before a connection to {origin} became free")
            if handed is not None:
                return handed, False
        try:
            return await self._connect(origin, deadline), True
        except BaseException:
            self._give_up_place(origin_pool)
            raise

    async def aclose(self) -> None:
        """Close every connection; returns when their sockets are closed."""
        self.closes += 1
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self._connections):
            exchange = connection.exchange
            if exchange is not None:
                exchange.close("the client was closed")
            else:
                connection.abort()
        if self._connections:
            emptied = self._emptied = self._emptied or asyncio.get_running_loop().create_future()
            await asyncio.shield(emptied)  # another task may wait for it too
            self._emptied = None  # a future keeps its loop alive

    async def _wait_turn(self, origin_pool: _OriginPool, deadline: Deadline) -> Connection | None:
        """Queue for a connection; None means the right to make one."""
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        origin_pool.waiters.append(waiter)
        deadline.enter("pool")
        limit = asyncio.timeout(deadline.remaining_s())
        try:
            async with limit:
                return await waiter
        except BaseException as error:
            if _is_waiting(waiter) or waiter.cancelled():
                origin_pool.leave_queue(waiter)
            elif (handed := waiter.result()) is not None:
                self._on_free(handed)
            else:
                self._give_up_place(origin_pool)
            # Not decided by the clock: uvloop's timers may fire a moment early.
            if isinstance(error, TimeoutError) and limit.expired():
                raise deadline.nearest_error() from None
            raise

    async def _connect(self, origin: Origin, deadline: Deadline) -> Connection:
        deadline.enter("connect")
        closes = self.closes
        tls: dict[str, Any] = {}
        if origin.scheme == "https":
            # our own limit applies; by default, asyncio would set one
            tls = {"ssl": self._tls(), "server_hostname": origin.host, "ssl_handshake_timeout": LONGEST_S}
        try:
            connected = await connect_on_loop(origin, deadline)
            connection = await self._take_up(connected, origin, deadline, tls)
        except SDKError:
            raise
        except OSError as error:
            raise connect_error(origin, error) from error
        self._connections.add(connection)
        if closes != self.closes:
            connection.abort()
            raise ConnectionLostError(f"the client was closed while it connected to {origin}")
        return connection

    async def _take_up(
        self, connected: socket.socket, origin: Origin, deadline: Deadline, tls: dict[str, Any]
    ) -> Connection:
        """Hand a connected socket to the loop, with TLS for an https origin."""
        loop = asyncio.get_running_loop()
        making = loop.create_connection(lambda: self._make(origin, loop), sock=connected, **tls)
        if not tls:  # does not wait for the peer
            return (await making)[1]
        limit = asyncio.timeout(deadline.remaining_s())
        try:
            async with limit:
                return (await making)[1]
        except TimeoutError:
            if limit.expired():
                raise deadline.nearest_error() from None
            raise

    def _make(self, origin: Origin, loop: asyncio.AbstractEventLoop) -> Connection:
        if origin.scheme == "https" or not isinstance(loop, asyncio.SelectorEventLoop):
            return Connection(origin, self._on_free, self._on_lost, self._body)
        if self._read_buffer is None:
            self._read_buffer = memoryview(bytearray(READ_BYTES))
        return BufferedConnection(origin, self._on_free, self._on_lost, self._body, self._read_buffer)

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return self._ssl_context

    def _on_free(self, connection: Connection) -> None:
        waiter = self._by_origin[connection.origin].give_back(connection, _is_waiting)
        if waiter is not None:
            waiter.set_result(connection)
        elif self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_ns / SECOND_NS, self._sweep)

    def _on_lost(self, connection: Connection) -> None:
        if connection not in self._connections:
            return  # it broke while it was being made, which `acquire` handles
        self._connections.discard(connection)
        origin_pool = self._by_origin[connection.origin]
        if connection in origin_pool.free:
            origin_pool.free.remove(connection)
        self._give_up_place(origin_pool)
        if not self._connections and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def _give_up_place(self, origin_pool: _OriginPool) -> None:
        waiter = origin_pool.give_up_place(_is_waiting)
        if waiter is not None:
            waiter.set_result(None)

    def _sweep(self) -> None:
        """Close connections that have been idle too long, and schedule the next sweep."""
        self._sweeper = None
        now_ns = monotonic_ns()
        for origin_pool in self._by_origin.values():
            for connection in origin_pool.expired(now_ns):
                origin_pool.free.remove(connection)
                connection.abort()
        next_ns = min(
            filter(None, (origin_pool.next_expiry_ns() for origin_pool in self._by_origin.values())), default=None
        )
        if next_ns is not None:
            delay_s = (next_ns - now_ns) / SECOND_NS
            self._sweeper = asyncio.get_running_loop().call_later(delay_s, self._sweep)


def _is_waiting(waiter: _Waiter) -> bool:
    return not waiter.done()
