"""Requests as the truth server reads them, each with the kernel's stamp of its arrival."""

from __future__ import annotations

import socket
from time import monotonic_ns, time_ns
from typing import NamedTuple

from bench.kernel_stamps import ANCILLARY_BYTES, timespec
from bench.units import NS_PER_S


class Incoming(NamedTuple):
    """A whole request; `id` is its X-Request-Id."""

    method: str
    path: str
    id: str
    body: bytes


class RequestReader:
    """Collects the bytes of one connection into requests, one at a time (no pipelining)."""

    __slots__ = ("_data", "_needed", "is_closed")

    def __init__(self) -> None:
        self._data = b""
        self._needed = 0
        self.is_closed = False

    def read(self, connection: socket.socket, size: int) -> tuple[Incoming | None, int]:
        """Read once. Returns a request if one is complete, and when its last byte arrived (ns). Raises OSError."""
        data, ancillary, _, _ = connection.recvmsg(size, ANCILLARY_BYTES)
        self.is_closed = not data
        self._data += data
        incoming = self._take()
        return incoming, _arrival(ancillary) if incoming is not None else 0

    def _take(self) -> Incoming | None:
        if len(self._data) < self._needed or b"\r\n\r\n" not in self._data:
            return None
        head, _, body = self._data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(body) < length:
            self._needed = len(head) + 4 + length
            return None
        self._data, self._needed = body[length:], 0
        method, path, *_ = first.split(" ")
        return Incoming(method, path, headers.get("x-request-id", ""), body[:length])


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> int:
    now_ns = monotonic_ns()
    if not ancillary:
        return now_ns
    seconds, rest = timespec(ancillary[0][2])
    waited_ns: int = time_ns() - (seconds * NS_PER_S + rest)
    return now_ns - max(waited_ns, 0)
