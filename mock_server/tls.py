"""TLS in front of the HTTP protocol. A connection counts from the moment it is accepted, handshake included."""

import asyncio
import logging
import ssl
from collections.abc import Callable

from .connections import Connections

_LONGEST_HANDSHAKE_S = 30.0
_log = logging.getLogger(__name__)


def tls_context(certfile: str, keyfile: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certfile, keyfile)
    return context


class TlsGate(asyncio.Protocol):
    """A new connection's protocol until its handshake is complete; then `make_protocol` makes the one that follows."""

    def __init__(
        self,
        context: ssl.SSLContext,
        make_protocol: Callable[[], asyncio.Protocol],
        connections: Connections,
        timeout_s: float,
    ) -> None:
        self._context = context
        self._make_protocol = make_protocol
        self._connections = connections
        self._timeout_s = timeout_s or _LONGEST_HANDSHAKE_S
        self._transport: asyncio.Transport | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._early = bytearray()
        """What the client sent right behind its handshake."""
        self._has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("TLS needs a stream")
        self._transport = transport
        if not self._connections.add(self):
            transport.abort()
            return
        transport.pause_reading()
        self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(transport), name="TLS handshake")

    def data_received(self, data: bytes) -> None:
        self._early += data

    def eof_received(self) -> None:
        self._has_ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
        self._connections.remove(self)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def unread_bytes(self) -> int:
        return 0

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            secure = await loop.start_tls(
                transport, self, self._context, server_side=True, ssl_handshake_timeout=self._timeout_s
            )
        except (OSError, RuntimeError) as exc:  # RuntimeError: the transport was closed meanwhile
            _log.debug("a TLS handshake failed: %s", exc)
            secure = None
        finally:
            self._connections.remove(self)
        if secure is None or self._has_ended:
            transport.abort()
            return
        protocol = self._make_protocol()
        secure.set_protocol(protocol)
        protocol.connection_made(secure)
        if self._early:
            protocol.data_received(bytes(self._early))
