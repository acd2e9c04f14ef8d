"""A server that plays literal bytes on real sockets: a test says what each connection does, as a function."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self._socket = connection
        self._buffer = b""
        self.number = number

    def read_request(self) -> bytes:
        """One whole request, headers and body; empty when the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                return b""
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(rest) < length:
            if not self._receive():
                return b""
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[length:]
        return head + b"\r\n\r\n" + rest[:length]

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self, body: bytes, status: str = "200 OK", headers: str = "Content-Type: application/json") -> None:
        """A whole response with a length."""
        self.send(f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def chunk(self, data: bytes) -> None:
        """One chunk of a chunked body."""
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """The last chunk of a chunked body."""
        self.send(b"0\r\n\r\n")

    def wait_closed(self) -> None:
        """Until the client has closed its end."""
        while self._receive():
            pass

    def is_closed_by_client(self) -> bool:
        """Whether the client closes its end within ten seconds, or has done so."""
        with contextlib.suppress(OSError):  # closed at this end too
            self._socket.settimeout(10)
            return not self._socket.recv(65536)
        return True

    def reset(self) -> None:
        """Close with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it may be closed already, from either end
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except OSError:
            return False
        self._buffer += data
        return bool(data)


_used_ports: set[int] = set()


def _listen() -> socket.socket:
    """A listener on a port that no server of this process had: what the functions keep belongs to an address."""
    while True:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        if (port := listener.getsockname()[1]) not in _used_ports:
            _used_ports.add(port)
            return listener
        listener.close()


class WireServer:
    """Runs `play(peer)` in a thread for each connection; the connection is closed when it returns.

    `errors` holds what a play raised, and leaving the `with` block raises the first of it.
    """

    def __init__(self, play: Callable[[Peer], None], tls: ssl.SSLContext | None = None) -> None:
        self._play = play
        self._tls = tls
        self._listener = _listen()
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self.peers: list[Peer] = []
        self.errors: list[BaseException] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> WireServer:
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(10)
        for peer in self.peers:
            peer.close()
        for thread in self._threads:
            thread.join(10)
        if self.errors and error is None:
            raise self.errors[0]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                try:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                except OSError:  # the client trusts somebody else
                    connection.close()
                    continue
            self.connections += 1
            peer = Peer(connection, self.connections)
            self.peers.append(peer)
            thread = threading.Thread(target=self._run, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, peer: Peer) -> None:
        try:
            self._play(peer)
        except OSError:
            pass  # the client left first, which many tests are about
        except BaseException as error:
            self.errors.append(error)
        finally:
            peer.close()
