"""Keep-alive sockets for threads, by origin: last in, first out, with a fair queue when all are busy."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from operator import attrgetter
from threading import Event, Lock
from time import monotonic_ns

from sdk.deadline import SECOND_NS, Deadline
from sdk.errors import ConnectError, PoolTimeoutError
from sdk.transport.base import Origin
from sdk.transport.http1 import ResponseParser
from sdk.transport.lane import Lane
from sdk.transport.pool import IDLE_S, MAX_CONNECTIONS
from sdk.transport.reason import connect_error


class BlockingConnection:
    """A connected socket and when it was last of use."""

    __slots__ = ("free_since_ns", "origin", "parser", "socket")

    def __init__(self, origin: Origin, connected: socket.socket) -> None:
        self.origin = origin
        self.socket = connected
        self.parser = ResponseParser()
        self.free_since_ns = 0

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits to be read: on an idle connection that could only be its end."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the other end was first
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
        self.socket.close()


class _Waiter:
    __slots__ = ("connection", "served")

    def __init__(self) -> None:
        self.served = Event()
        self.connection: BlockingConnection | None = None

    def serve(self, connection: BlockingConnection | None) -> None:
        """Hand over a connection, or (None) a place to make one."""
        self.connection = connection
        self.served.set()


_Lane = Lane[BlockingConnection, _Waiter]
_is_quiet = attrgetter("is_quiet")


def _is_waiting(waiter: _Waiter) -> bool:
    return True  # who gives up leaves the queue under the lock


class BlockingPool:
    """Hands out sockets and takes them back; at most `max_connections` to an origin. Threads may share it."""

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
        self._lanes: dict[Origin, _Lane] = {}
        self._lock = Lock()

    @property
    def in_use(self) -> int:
        """Connections that carry an exchange or are being made."""
        return sum(lane.in_use for lane in self._lanes.values())

    @property
    def idle(self) -> int:
        """Open connections that wait for a request."""
        return sum(len(lane.free) for lane in self._lanes.values())

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return sum(len(lane.waiters) for lane in self._lanes.values())

    def __repr__(self) -> str:
        origins = ", ".join(map(str, self._lanes)) or "no origin"
        return f"<BlockingPool {origins}: {self.in_use} in use, {self.idle} idle, {self.waiting} waiting>"

    def acquire(self, origin: Origin, deadline: Deadline, *, fresh: bool = False) -> tuple[BlockingConnection, bool]:
        """A connection for one exchange, and whether it was made for it (always, when `fresh`).

        Raises PoolTimeoutError, ConnectTimeoutError, TotalTimeoutError, ConnectError or TLSError.
        """
        waiter = None
        with self._lock:
            lane = self._lanes.setdefault(origin, Lane(self._max_connections, self._idle_ns))
            if not fresh:
                connection, useless = lane.take_free(monotonic_ns(), _is_quiet)
                for other in useless:
                    other.close()
                    self._give_up_place(lane)
                if connection is not None:
                    return connection, False
            if not lane.take_place():
                waiter = _Waiter()
                lane.waiters.append(waiter)
        if waiter is not None and (handed := self._wait_turn(lane, waiter, deadline)) is not None:
            return handed, False
        try:
            return self._connect(origin, deadline), True
        except BaseException:
            with self._lock:
                self._give_up_place(lane)
            raise

    def release(self, connection: BlockingConnection) -> None:
        """Take back a connection whose exchange ended cleanly."""
        with self._lock:
            connection.free_since_ns = monotonic_ns()
            waiter = self._lanes[connection.origin].give_back(connection, _is_waiting)
            if waiter is not None:
                waiter.serve(connection)

    def discard(self, connection: BlockingConnection) -> None:
        """Close a connection and let another be made in its place."""
        connection.close()
        with self._lock:
            self._give_up_place(self._lanes[connection.origin])

    def close(self) -> None:
        """Close every connection that is idle; those in use close when their exchange ends."""
        with self._lock:
            for lane in self._lanes.values():
                while lane.free:
                    lane.free.pop().close()
                    lane.open -= 1

    def _wait_turn(self, lane: _Lane, waiter: _Waiter, deadline: Deadline) -> BlockingConnection | None:
        """Queue until a connection is handed over, or (None) a place to make one."""
        deadline.enter("pool")
        try:
            served = waiter.served.wait(deadline.remaining_s())
        except BaseException:  # Ctrl-C: pass on what may have come meanwhile
            self._leave_queue(lane, waiter)
            raise
        if not served:
            self._leave_queue(lane, waiter)
            raise deadline.error() or PoolTimeoutError("no connection of the pool came free in time")
        return waiter.connection

    def _leave_queue(self, lane: _Lane, waiter: _Waiter) -> None:
        with self._lock:
            if lane.leave_queue(waiter):
                return
        if waiter.connection is not None:
            self.release(waiter.connection)
        else:
            with self._lock:
                self._give_up_place(lane)

    @staticmethod
    def _give_up_place(lane: _Lane) -> None:
        waiter = lane.give_up_place(_is_waiting)
        if waiter is not None:
            waiter.serve(None)

    def _connect(self, origin: Origin, deadline: Deadline) -> BlockingConnection:
        deadline.enter("connect")
        if (passed := deadline.error()) is not None:
            raise passed  # a socket's timeout of 0 would mean "do not wait", not "too late"
        try:
            connected = socket.create_connection((origin.host, origin.port), deadline.remaining_s())
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                connected = self._secure(connected, origin, deadline)
        except TimeoutError as error:
            expired = deadline.error()
            if expired is None:  # the kernel's own limit, shorter than ours
                raise ConnectError(f"nothing answers at {origin} (timed out)") from error
            raise expired from None
        except OSError as error:
            raise connect_error(origin, error) from error
        return BlockingConnection(origin, connected)

    def _secure(self, connected: socket.socket, origin: Origin, deadline: Deadline) -> ssl.SSLSocket:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        try:
            connected.settimeout(deadline.remaining_s())
            return self._ssl_context.wrap_socket(connected, server_hostname=origin.host)
        except BaseException:
            connected.close()
            raise
