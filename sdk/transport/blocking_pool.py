"""Keep-alive sockets for threads, by origin: last in, first out, with a fair queue if all are busy."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
from collections import deque
from operator import attrgetter
from threading import Lock
from time import monotonic_ns
from weakref import WeakSet

from sdk.deadline import SECOND_NS, Deadline
from sdk.errors import PoolTimeoutError, SDKError
from sdk.transport.base import Origin
from sdk.transport.connect import connect
from sdk.transport.connect_errors import connect_error
from sdk.transport.http1 import ResponseParser
from sdk.transport.origin_pool import IDLE_S, MAX_CONNECTIONS, OriginPool


class BlockingConnection:
    """A connected socket.

    `origin_pool` counts it, `epoch` is the pool's at the time of the request, `free_since_ns` when it last became free.
    """

    __slots__ = ("__weakref__", "epoch", "free_since_ns", "origin_pool", "parser", "socket")

    def __init__(self, connected: socket.socket, origin_pool: _OriginPool, epoch: int) -> None:
        self.socket: socket.socket = connected
        self.origin_pool: _OriginPool = origin_pool
        self.epoch: int = epoch
        self.parser: ResponseParser = ResponseParser()
        self.free_since_ns: int = 0
        _CONNECTIONS.add(self)

    @property
    def is_quiet(self) -> bool:
        """Whether no bytes wait to be read: on an idle connection, they could only be its end."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the peer closed first
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
        self.socket.close()


class _Waiter:
    """A place in the queue. A bare lock: the garbage collector might need an Event's own lock while that is held."""

    __slots__ = ("_turn", "connection")

    def __init__(self) -> None:
        self._turn = Lock()
        self._turn.acquire()
        self.connection: BlockingConnection | None = None

    def wait(self, seconds: float | None) -> bool:
        """Wait for the turn; returns whether it came in time."""
        return self._turn.acquire(timeout=-1 if seconds is None else seconds)

    def serve(self, connection: BlockingConnection | None) -> None:
        """Hand over a connection, or with None the right to make one."""
        self.connection = connection
        self._turn.release()


_OriginPool = OriginPool[BlockingConnection, _Waiter]
_CONNECTIONS: WeakSet[BlockingConnection] = WeakSet()
_POOLS: WeakSet[BlockingPool] = WeakSet()
_is_quiet = attrgetter("is_quiet")


def _is_waiting(waiter: _Waiter) -> bool:
    return True  # one that gives up leaves the queue under the lock


class BlockingPool:
    """Lends sockets, at most `max_connections` for each origin. Threads may share it."""

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
        self._epoch = self._settled_epoch = 0
        self.start_over()
        _POOLS.add(self)

    def start_over(self) -> None:
        """Begin empty, with a free lock: after a fork, the connections belong to the parent."""
        self._lock = Lock()
        self._by_origin: dict[Origin, _OriginPool] = {}
        self._gone: deque[_OriginPool] = deque()
        self._epoch += 1
        self._settled_epoch = self._epoch

    @property
    def in_use(self) -> int:
        """Connections that carry an exchange or are being made."""
        return sum(origin_pool.in_use for origin_pool in list(self._by_origin.values()))

    @property
    def idle(self) -> int:
        """Open connections that wait for a request."""
        return sum(len(origin_pool.free) for origin_pool in list(self._by_origin.values()))

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return sum(len(origin_pool.waiters) for origin_pool in list(self._by_origin.values()))

    def __repr__(self) -> str:
        origins = ", ".join(map(str, list(self._by_origin))) or "no origin"
        return f"<BlockingPool {origins}: {self.in_use} in use, {self.idle} idle, {self.waiting} waiting>"

    def acquire(self, origin: Origin, deadline: Deadline, *, fresh: bool = False) -> tuple[BlockingConnection, bool]:
        """A connection for one exchange, and whether it is new (always with `fresh`).

        Raises PoolTimeoutError, ConnectTimeoutError, TotalTimeoutError, ConnectError or TLSError.
        """
        epoch = self._epoch
        origin_pool = self._by_origin.get(origin) or self._by_origin.setdefault(
            origin, OriginPool(self._max_connections, self._idle_ns)
        )
        connection: BlockingConnection | None = None
        useless: list[BlockingConnection] = []
        waiter = None
        with self._lock:
            if not fresh:
                connection, useless = origin_pool.take_free(monotonic_ns(), _is_quiet)
                for _ in useless:
                    self._give_up_place(origin_pool)
            if connection is None and not origin_pool.take_place():
                waiter = _Waiter()
                origin_pool.waiters.append(waiter)
        for other in useless:
            other.close()
        self._settle()
        if connection is None and waiter is not None:
            connection = self._wait_turn(origin_pool, waiter, deadline)
        if connection is not None:
            return connection, False
        try:
            return BlockingConnection(self._connect(origin, deadline), origin_pool, epoch), True
        except BaseException:
            self._leave_place(origin_pool)
            raise

    def release(self, connection: BlockingConnection) -> None:
        """Take back a connection whose exchange ended cleanly; close it if the pool was closed meanwhile."""
        origin_pool = connection.origin_pool
        useless: list[BlockingConnection] = []
        with self._lock:
            is_current = connection.epoch == self._epoch
            if is_current:
                now_ns = connection.free_since_ns = monotonic_ns()
                waiter = origin_pool.give_back(connection, _is_waiting)
                if waiter is not None:
                    waiter.serve(connection)
                useless = origin_pool.expired(now_ns)
                for other in useless:
                    origin_pool.free.remove(other)
                    self._give_up_place(origin_pool)
        for other in useless:
            other.close()
        if is_current:
            self._settle()
        else:
            self.discard(connection)

    def discard(self, connection: BlockingConnection) -> None:
        """Close a connection, so that another may take its place."""
        connection.close()
        self._leave_place(connection.origin_pool)

    def close(self) -> None:
        """Close every idle connection; those in use close when their exchange ends."""
        self._epoch += 1
        self._settle()

    # The garbage collector may run during any allocation, including ours under the lock, and may close a stream or
    # finalize a transport. So neither waits for the lock: they record the work, and the holder of the lock does it when
    # it releases the lock.

    def _leave_place(self, origin_pool: _OriginPool) -> None:
        self._gone.append(origin_pool)
        self._settle()

    def _settle(self) -> None:
        """Do the recorded work unless the lock is held: its holder calls this after it releases the lock."""
        while (self._gone or self._settled_epoch != self._epoch) and self._lock.acquire(blocking=False):
            try:
                while self._gone:
                    self._give_up_place(self._gone.popleft())
                if self._settled_epoch != self._epoch:
                    self._settled_epoch = self._epoch
                    self._close_idle()
            finally:
                self._lock.release()

    def _close_idle(self) -> None:
        for origin_pool in list(self._by_origin.values()):
            while origin_pool.free:
                origin_pool.free.pop().close()
                self._give_up_place(origin_pool)

    def _wait_turn(self, origin_pool: _OriginPool, waiter: _Waiter, deadline: Deadline) -> BlockingConnection | None:
        """Queue for a connection; None means the right to make one."""
        deadline.enter("pool")
        try:
            served = waiter.wait(deadline.remaining_s())
        except BaseException:  # Ctrl-C: pass on a connection that arrived meanwhile
            self._leave_queue(origin_pool, waiter)
            raise
        if not served:
            self._leave_queue(origin_pool, waiter)
            raise deadline.error() or PoolTimeoutError("no connection in the pool became free in time")
        return waiter.connection

    def _leave_queue(self, origin_pool: _OriginPool, waiter: _Waiter) -> None:
        with self._lock:
            was_waiting = origin_pool.leave_queue(waiter)
        if was_waiting:
            self._settle()
        elif waiter.connection is not None:
            self.release(waiter.connection)
        else:
            self._leave_place(origin_pool)

    @staticmethod
    def _give_up_place(origin_pool: _OriginPool) -> None:
        waiter = origin_pool.give_up_place(_is_waiting)
        if waiter is not None:
            waiter.serve(None)

    def _connect(self, origin: Origin, deadline: Deadline) -> socket.socket:
        deadline.enter("connect")
        try:
            connected = connect(origin, deadline)
            return self._secure(connected, origin, deadline) if origin.scheme == "https" else connected
        except SDKError:
            raise
        except OSError as error:
            raise connect_error(origin, error) from error

    def _secure(self, connected: socket.socket, origin: Origin, deadline: Deadline) -> ssl.SSLSocket:
        try:
            if self._ssl_context is None:
                self._ssl_context = ssl.create_default_context()
            left_s = deadline.remaining_s()
            if left_s == 0.0:  # for a socket, 0 means "do not block"
                raise TimeoutError
            connected.settimeout(left_s)
            return self._ssl_context.wrap_socket(connected, server_hostname=origin.host)
        except BaseException as error:
            connected.close()
            if isinstance(error, TimeoutError):
                raise deadline.late_error() from None
            raise


def _leave_to_parent() -> None:
    """In a forked child: the sockets and their data belong to the parent."""
    for connection in _CONNECTIONS:
        connection.socket.close()  # not shut down, which would end the connection for the parent too
    for pool in _POOLS:
        pool.start_over()


os.register_at_fork(after_in_child=_leave_to_parent)
