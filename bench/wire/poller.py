"""All sockets in one epoll of our own, read a slice at a time: knows when a socket was last seen to have nothing.

An event loop calls back for one socket after the other and keeps to itself when it looked. That moment is what bounds
an arrival whose own stamp is lost in a later one's. It costs less per read, too.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable
from time import monotonic_ns

# Edge-triggered: a socket is reported when something comes, and then has to be read until it has nothing.
READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
READ_BYTES = 64 * 1024
_JUST_IN = select.EPOLLIN
WRITE = select.EPOLLOUT
ENDING = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

# So many sockets are read before timers and tasks have their turn: about half a millisecond.
_SLICE = 64
_CATCHING_UP_NS = 500_000  # as long for what was put off
_GLANCE_NS = 8_000_000
_LIST = 4096

# While requests wait for their turn, one may start for so much time spent on reading: a start takes a third of that.
_READING_A_START_NS = 250_000
_LEAST_STARTS = 2

OnRead = Callable[[], int]
OnReady = Callable[[int], None]


class Poller:
    """Calls `on_read()` of each socket that has something to read, again if that returns as much as a read can bring;
    and `on_ready(events)` when it ends as well, or may be written to if that was asked.

    `empty_ns` is a moment at which the socket now being served had nothing to read, unless it was served since.
    `now_ns` is for who reads to move on: the time of the last read.
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
        """Watch a socket for what it has to read."""
        self._on_read[fd] = on_read
        self._on_ready[fd] = on_ready
        self._epoll.register(fd, READ)

    def watch(self, fd: int, events: int) -> None:
        """Watch it for other events."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forget a socket; to be called before it is closed."""
        del self._on_read[fd], self._on_ready[fd]
        self._epoll.unregister(fd)

    @property
    def is_behind(self) -> bool:
        """Whether other sockets have something to read: what takes long has to wait until they were read."""
        return bool(self._ready)

    def defer(self, work: Callable[[], None]) -> None:
        """Do it when no socket is known to have anything to read, a little at a time."""
        self._put_off.append(work)

    async def turn(self) -> None:
        """Wait until what had arrived was read: a start that comes a little late is told as such, a late read blurs."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._turns.append(turn)
        if len(self._turns) == 1:
            self._loop.call_soon(self._grant)
        await turn

    def glance(self) -> bool:
        """Look, unless something just has; whether it did.

        While all servers are silent nothing else does, and what then comes at once would be in doubt for as long as the
        silence was.
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
            if read is None:  # it was closed since the look
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
        """Read, and once all is read that a look has found, let some start."""
        if self._epoll.closed:
            return
        self._serve()
        if not self._ready:
            granted = max(_LEAST_STARTS, self._reading_ns // _READING_A_START_NS)
            self._reading_ns = 0
            while granted and self._turns:
                turn = self._turns.popleft()
                if not turn.done():  # else whoever waited was given up
                    turn.set_result(None)
                    granted -= 1
        if self._turns:
            self._loop.call_soon(self._grant)

    def _look(self) -> list[tuple[int, int]]:
        now_ns = self.now_ns = monotonic_ns()
        ready = self._ready = self._epoll.poll(0, _LIST)
        ready.reverse()
        self.empty_ns = self._looked_ns
        if len(ready) < _LIST:  # else there may be more that are ready
            self._looked_ns = now_ns
        return ready
