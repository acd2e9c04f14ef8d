"""TLS connections. They count from the moment they are accepted, because a handshake may never end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from mock_server.http.connections import Connections, RareWarning

_LONGEST_HANDSHAKE_S = 30.0
_AT_ONCE = 64
_PAUSE_S = 1.0
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger(__name__)


def tls_context(certfile: str, keyfile: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certfile, keyfile)
    return context


class TlsServer:
    """Accepts connections on a bound socket until it is closed. Each gets a protocol once its handshake is complete."""

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.Protocol],
        connections: Connections,
        *,
        backlog: int,
        timeout_s: float,
    ) -> None:
        """Raises `OSError`. `timeout_s` limits a handshake; 0: the default limit."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._context = context
        self._make_protocol = make_protocol
        self._connections = connections
        self._timeout_s = timeout_s or _LONGEST_HANDSHAKE_S
        self._handshakes: set[asyncio.Task[None]] = set()
        self._warning = RareWarning()
        self._is_closed = False
        listener.setblocking(False)
        listener.listen(backlog)
        self._resume()

    def close(self) -> None:
        self._is_closed = True
        self._loop.remove_reader(self._listener.fileno())
        for handshake in self._handshakes:
            handshake.cancel()

    async def wait_closed(self) -> None:
        """uvicorn calls this for its own servers, too; here there is nothing to wait for."""

    def _resume(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    raise
                self._warning.log(f"a connection cannot be accepted: {error.strerror}. Raise the limit (ulimit -n)")
                self._loop.remove_reader(self._listener.fileno())
                self._loop.call_later(_PAUSE_S, self._resume)
                return
            accepted.setblocking(False)
            handshake = _Handshake(accepted)
            if not self._connections.add(handshake):
                accepted.close()
                continue
            task = self._loop.create_task(self._shake_hands(handshake), name="TLS handshake")
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, handshake: _Handshake) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._make_protocol, handshake.socket, ssl=self._context, ssl_handshake_timeout=self._timeout_s
            )
        except OSError as error:  # also ssl.SSLError
            _log.debug("a TLS handshake failed: %s", error)
        finally:
            self._connections.remove(handshake)


class _Handshake:
    """A connection whose handshake is not complete."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted

    def drop(self) -> None:
        with contextlib.suppress(OSError):  # the client has disconnected
            self.socket.shutdown(socket.SHUT_RDWR)

    def unread_bytes(self) -> int:
        return 0
