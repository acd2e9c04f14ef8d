"""The decisions of both pools for one origin, without I/O: which request gets which connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

MAX_CONNECTIONS = 4096
# uvicorn closes an idle connection after 5 s, so we close it before that.
IDLE_S = 4.0


class Kept(Protocol):
    """What the decisions need of a connection: `free_since_ns` is the monotonic time at which it became free."""

    free_since_ns: int


C = TypeVar("C", bound=Kept)
W = TypeVar("W")


class OriginPool(Generic[C, W]):
    """The connections to one origin.

    `open` counts all of them, at most `limit`: those in use, those being made, and the `free` ones, oldest first. A
    request takes the newest free one, so that the others may expire; waiting requests are served in turn.
    """

    __slots__ = ("_idle_ns", "_limit", "free", "open", "waiters")

    def __init__(self, limit: int, idle_ns: int) -> None:
        self._limit = limit
        self._idle_ns = idle_ns
        self.open: int = 0
        self.free: list[C] = []
        self.waiters: deque[W] = deque()

    @property
    def in_use(self) -> int:
        """Connections that carry an exchange or are being made."""
        return self.open - len(self.free)

    def take_free(self, now_ns: int, is_usable: Callable[[C], bool]) -> tuple[C | None, list[C]]:
        """The newest usable free connection, if any, and useless ones to close; these keep their places until then."""
        useless: list[C] = []
        while self.free:
            connection = self.free.pop()
            if now_ns - connection.free_since_ns < self._idle_ns and is_usable(connection):
                return connection, useless
            useless.append(connection)
        return None, useless

    def take_place(self) -> bool:
        """Whether another connection may be made; if so, its place is taken."""
        if self.open >= self._limit:
            return False
        self.open += 1
        return True

    def give_back(self, connection: C, is_waiting: Callable[[W], bool]) -> W | None:
        """A connection became free: returns the waiter that gets it, or None if it joined the free ones."""
        waiter = self._next_waiter(is_waiting)
        if waiter is None:
            self.free.append(connection)
        return waiter

    def give_up_place(self, is_waiting: Callable[[W], bool]) -> W | None:
        """A connection is closed or was not made: returns the waiter that may make one in its place, or None."""
        waiter = self._next_waiter(is_waiting)
        if waiter is None:
            self.open -= 1
        return waiter

    def leave_queue(self, waiter: W) -> bool:
        """Remove the waiter from the queue; returns whether it was there."""
        if waiter not in self.waiters:
            return False
        self.waiters.remove(waiter)
        return True

    def expired(self, now_ns: int) -> list[C]:
        """The connections that have been free for too long."""
        return list(takewhile(lambda connection: now_ns - connection.free_since_ns >= self._idle_ns, self.free))

    def next_expiry_ns(self) -> int | None:
        """The time at which the oldest free connection expires; None without one."""
        return self.free[0].free_since_ns + self._idle_ns if self.free else None

    def _next_waiter(self, is_waiting: Callable[[W], bool]) -> W | None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if is_waiting(waiter):
                return waiter
        return None
