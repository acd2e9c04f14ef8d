"""Connects to one of several addresses in a staggered race (RFC 8305); the caller does the waiting."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections import deque
from itertools import chain, zip_longest

from sdk.deadline import SECOND_NS
from sdk.transport.lookup import Address, Addresses

STAGGER_NS = SECOND_NS // 4  # RFC 8305 §8
# Less informative than the error of another address: this machine cannot reach such addresses at all.
_VAGUE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
# A peer that disappears without closing is noticed after 60 + 4 × 15 s; by default the kernel takes over two hours.
# TCP_USER_TIMEOUT is not set: it would also abort a large request to a server that reads slowly.
_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (
            ("TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE", 60),  # its name on macOS
            ("TCP_KEEPINTVL", 15),
            ("TCP_KEEPCNT", 4),
        )
        if hasattr(socket, name)
    ),
]


def interleaved(addresses: Addresses) -> Addresses:
    """The addresses in the order to try them: as given, alternating between the families (RFC 8305 §4)."""
    if len(addresses) < 2:
        return addresses
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address is not None]


class Race:
    """Attempts to connect; the first that succeeds wins, and the others are closed.

    The caller waits until one of `pending` is writable, at most for `wait_s`, then calls `step`.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._left = deque(interleaved(addresses))
        self._errors: list[OSError] = []
        self._winner: socket.socket | None = None
        self.pending: dict[int, socket.socket] = {}
        self.poll: select.poll = select.poll()
        self._next_ns = 0

    def step(self, now_ns: int) -> socket.socket | None:
        """Check the attempts and start the next if it is due; returns the connected socket once there is one.

        Raises OSError if no address is left.
        """
        self._settle()
        while self._winner is None and self._left and (not self.pending or now_ns >= self._next_ns):
            self._start(self._left.popleft(), now_ns)
            self._settle()  # a connection to this machine is ready immediately
        if self._winner is not None:
            self.close()
        elif not self.pending:
            raise next((error for error in self._errors if error.errno not in _VAGUE), self._errors[0])
        return self._winner

    def wait_s(self, now_ns: int) -> float | None:
        """Seconds until the next address is due; None if there is none."""
        return max(0.0, (self._next_ns - now_ns) / SECOND_NS) if self._left else None

    def close(self) -> None:
        """Abandon the attempts under way."""
        for attempt in self.pending.values():
            attempt.close()
        self.pending.clear()

    def _start(self, address: Address, now_ns: int) -> None:
        family, name = address
        try:
            attempt = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            self._errors.append(error)
            return
        try:
            attempt.setblocking(False)
            prepare(attempt)
            code = attempt.connect_ex(name)
        except BaseException:
            attempt.close()
            raise
        if code == errno.EINPROGRESS:
            self.pending[attempt.fileno()] = attempt
            self.poll.register(attempt, select.POLLOUT)
            self._next_ns = now_ns + STAGGER_NS
        else:
            self._end(attempt, code)

    def _settle(self) -> None:
        for fd, _ in self.poll.poll(0) if self.pending else ():
            attempt = self.pending.pop(fd)
            self.poll.unregister(fd)
            self._end(attempt, attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _end(self, attempt: socket.socket, code: int) -> None:
        if code == 0 and self._winner is None:
            self._winner = attempt
            return
        attempt.close()
        if code:
            self._errors.append(OSError(code, os.strerror(code)))


def prepare(connecting: socket.socket) -> None:
    """Set the options of each of our TCP sockets: TCP_NODELAY, and keep-alive if the system supports it."""
    for level, option, value in _OPTIONS:
        try:  # noqa: SIM105 - unlike `suppress`, it costs nothing unless it raises
            connecting.setsockopt(level, option, value)
        except OSError:
            pass
