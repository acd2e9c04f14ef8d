"""All sockets in one epoll object, read a slice at a time, so that it is known when a socket was last seen empty.

An event loop calls back for one socket after the other and does not report when it looked. That moment bounds the
arrival of a packet whose own stamp is replaced by a later one. A separate epoll also costs less per read.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable
from time import monotonic_ns

# Edge-triggered: a socket is reported when data arrives, and then has to be read until it is empty.
READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
READ_BYTES = 64 * 1024
_JUST_IN = select.EPOLLIN
WRITE = select.EPOLLOUT
ENDING = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

# How many sockets are read before timers and tasks have their turn: about half a millisecond.
_SLICE = 64
_CATCHING_UP_NS = 500_000  # the same limit for work that was put off
_GLANCE_NS = 8_000_000
_LIST = 4096

# While requests wait for their turn, one may start per this much reading time; a start takes a third of it.
_READING_A_START_NS = 250_000
_LEAST_STARTS = 2

OnRead = Callable[[], int]
OnReady = Callable[[int], None]


class Poller:
    """Calls `on_read()` for each socket that has data, and `on_ready(events)` when that filled a whole read, or when
    the socket has also ended or can be written to.

    `empty_ns` is a moment at which the socket that is now served was empty, unless it was served since then. `now_ns`
    is the time of the last read; each reader updates it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._on_read: dict[int, OnRead] = {}
        self._on_ready: dict[int, OnReady] = {}
        self._ready: list[tuple[int, int]] = []
        self._turns: deque[asyncio.Future[None]] = deque()
        self._put_off: deque[Callable[[], None]] = deque()
        self._reading_ns = 0
        self._goes_on = False
        self._looked_ns = monotonic_ns()
        self.empty_ns = self.now_ns = self._looked_ns
        loop.add_reader(self._epoll.fileno(), self._serve)

    def __len__(self) -> int:
        return len(self._on_ready)

    def add(self, fd: int, on_read: OnRead, on_ready: OnReady) -> None:
        """Watch a socket for data."""
        self._on_read[fd] = on_read
        self._on_ready[fd] = on_ready
        self._epoll.register(fd, READ)

    def watch(self, fd: int, events: int) -> None:
        """Watch it for other events."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forget a socket. To be called before it is closed."""
        del self._on_read[fd], self._on_ready[fd]
        self._epoll.unregister(fd)

    @property
    def is_behind(self) -> bool:
        """Whether other sockets have data: work that takes long has to wait until they are read."""
        return bool(self._ready)

    def defer(self, work: Callable[[], None]) -> None:
        """Do this work when no socket is known to have data, a little at a time."""
        self._put_off.append(work)

    async def turn(self) -> None:
        """Wait until all that has arrived is read. A late start is measured as such; a late read blurs a timestamp."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._turns.append(turn)
        if len(self._turns) == 1:
            self._loop.call_soon(self._grant)
        await turn

    def glance(self) -> bool:
        """Look at the sockets, unless that has just happened. Returns whether it looked.

        While all servers are silent, nothing else looks. Tokens that then arrive in a burst would have a doubt as long
        as the whole silence.
        """
        if monotonic_ns() - self._looked_ns < _GLANCE_NS:
            return False
        self._serve()
        return True

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._put_off.clear()

    def _serve(self) -> None:
        ready = self._ready
        if not ready:
            ready = self._look()
        on_read = self._on_read
        served = min(_SLICE, len(ready))
        began_ns = monotonic_ns() if self._turns else 0
        for _ in range(served):
            fd, events = ready.pop()
            read = on_read.get(fd)
            if read is None:  # it was closed after the look
                continue
            if events != _JUST_IN or read() == READ_BYTES:
                self._on_ready_anew(fd, events)
        if began_ns:
            self._reading_ns += monotonic_ns() - began_ns
        if not ready and self._put_off:
            self._catch_up()
        if (ready or self._put_off) and not self._goes_on:
            self._goes_on = True
            self._loop.call_soon(self._go_on)

    def _catch_up(self) -> None:
        until_ns = monotonic_ns() + _CATCHING_UP_NS
        while self._put_off and monotonic_ns() < until_ns:
            self._put_off.popleft()()

    def _go_on(self) -> None:
        self._goes_on = False
        if not self._epoll.closed:
            self._serve()

    def _on_ready_anew(self, fd: int, events: int) -> None:
        on_ready = self._on_ready.get(fd)
        if on_ready is not None:
            on_ready(events)

    def _grant(self) -> None:
        """Read, and when all that a look has found is read, let some requests start."""
        if self._epoll.closed:
            return
        self._serve()
        if not self._ready:
            granted = max(_LEAST_STARTS, self._reading_ns // _READING_A_START_NS)
            self._reading_ns = 0
            while granted and self._turns:
                turn = self._turns.popleft()
                if not turn.done():  # else the request that waited was cancelled
                    turn.set_result(None)
                    granted -= 1
        if self._turns:
            self._loop.call_soon(self._grant)

    def _look(self) -> list[tuple[int, int]]:
        now_ns = self.now_ns = monotonic_ns()
        ready = self._ready = self._epoll.poll(0, _LIST)
        ready.reverse()
        self.empty_ns = self._looked_ns
        if len(ready) < _LIST:  # else more sockets may be ready
            self._looked_ns = now_ns
        return ready
