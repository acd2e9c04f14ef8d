"""Who gets which connection to one origin, as bookkeeping without I/O: both pools decide by it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

MAX_CONNECTIONS = 4096
# uvicorn closes an idle connection after 5 s: leave it before it leaves us.
IDLE_S = 4.0


class Kept(Protocol):
    """A connection as far as the decisions go: `free_since_ns` is monotonic, set when it was given back."""

    free_since_ns: int


C = TypeVar("C", bound=Kept)
W = TypeVar("W")


class OriginPool(Generic[C, W]):
    """The connections to one origin.

    `open` counts all of them: those in use, those being made and the `free` ones; never over `limit`. The newest free
    one is taken first (the others may go idle and expire), who waits is served in turn. The oldest free one is first.
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
        """The newest free connection that can be used, if there is one, and those to close; they keep their places."""
        useless: list[C] = []
        while self.free:
            connection = self.free.pop()
            if now_ns - connection.free_since_ns < self._idle_ns and is_usable(connection):
                return connection, useless
            useless.append(connection)
        return None, useless

    def take_place(self) -> bool:
        """Whether another connection may be made; its place is taken with a yes."""
        if self.open >= self._limit:
            return False
        self.open += 1
        return True

    def give_back(self, connection: C, is_waiting: Callable[[W], bool]) -> W | None:
        """A connection came free: who is to have it, or None when it was put with the free ones."""
        waiter = self._next_waiter(is_waiting)
        if waiter is None:
            self.free.append(connection)
        return waiter

    def give_up_place(self, is_waiting: Callable[[W], bool]) -> W | None:
        """A connection is gone or was never made: who is to make one in its place, or None when none is."""
        waiter = self._next_waiter(is_waiting)
        if waiter is None:
            self.open -= 1
        return waiter

    def leave_queue(self, waiter: W) -> bool:
        """Whether the waiter was still in the queue; it no longer is."""
        if waiter not in self.waiters:
            return False
        self.waiters.remove(waiter)
        return True

    def expired(self, now_ns: int) -> list[C]:
        """The free connections that have been so for too long."""
        return list(takewhile(lambda connection: now_ns - connection.free_since_ns >= self._idle_ns, self.free))

    def next_expiry_ns(self) -> int | None:
        """When the first free connection will have been so for too long; None without any."""
        return self.free[0].free_since_ns + self._idle_ns if self.free else None

    def _next_waiter(self, is_waiting: Callable[[W], bool]) -> W | None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if is_waiting(waiter):
                return waiter
        return None
