"""Many plain sockets to a server: what each of them sends is up to the test."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from tests.support.serving import Serving

REQUEST = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
HALF_HEAD = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: "


def connect(server: Serving) -> socket.socket:
    address = urlsplit(server.root)
    return socket.create_connection((str(address.hostname), address.port or 0), timeout=30)


@contextlib.contextmanager
def connections(server: Serving, number: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Each has sent `first`, as far as the server has not dropped it."""
    opened: list[socket.socket] = []
    try:
        for _ in range(number):
            opened.append(connect(server))
            if first:
                send(opened[-1], first)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def half_body(size: int, sent: bytes, path: str = "/v1/completions") -> bytes:
    """A request whose body has `size` bytes, of which only `sent` comes."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {size}\r\n\r\n".encode() + sent


def send(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the server may drop it at any time
        connection.sendall(data)


def answer(connection: socket.socket) -> bytes:
    """Everything until the server closes; empty for a connection that was reset."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def ask(server: Serving, request: bytes = REQUEST) -> bytes:
    """The answer on a connection of its own."""
    with connect(server) as connection:
        send(connection, request.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
        return answer(connection)


def status(response: bytes) -> int:
    """0 if there is no response."""
    return int(response.split(b" ", 2)[1]) if response.startswith(b"HTTP/1.1 ") else 0


def dropped(opened: Sequence[socket.socket]) -> list[int]:
    """The indexes of the connections that the server has closed so far. What it sent on them is thrown away."""
    return [index for index, connection in enumerate(opened) if _is_closed(connection)]


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(1 << 16):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        connection.settimeout(30)


def statuses(opened: Iterable[socket.socket]) -> list[int]:
    return [status(answer(connection)) for connection in opened]
