"""Writes the events of a response straight to the transport, without an ASGI message and a coroutine for each event.

This project's server (`http_protocol`) offers this as an ASGI extension. Under other servers, bodies go through `send`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.types import Scope, Send

_EXTENSION = "mock_server.body"
_SIZES = [b"%x\r\n" % size for size in range(1024)]
_LARGE = 64 * 1024
"""Copying this many bytes costs more than a second write."""


class BodyWriter:
    """Writes the bodies of one connection in HTTP/1.1 chunks. Their responses must set `transfer-encoding: chunked`.

    `send` begins and ends the response; in between, writes here and through `send` keep their order.
    """

    __slots__ = ("_held", "_holds_next", "_write", "is_writable")

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._write = transport.write
        self._holds_next = False
        self._held = b""
        self.is_writable = True
        """False if the client reads too slowly or has disconnected. Use `send` then, which waits."""

    def write(self, body: bytes) -> None:
        """Writes one chunk. An empty body is not written, because an empty chunk would end the response."""
        size = len(body)
        if size:
            self._write((_SIZES[size] if size < len(_SIZES) else b"%x\r\n" % size) + body + b"\r\n")

    def hold_head(self) -> None:
        """Call before `send` begins a response whose body follows immediately: both then go out in one write."""
        self._holds_next = True

    def pass_on(self, data: bytes) -> None:
        """For the server: writes the bytes of a `send`."""
        if self._holds_next:
            self._holds_next = False
            self._held = data
            return
        held = self._held
        if held:
            self._held = b""
            if len(data) < _LARGE:
                data = held + data
            else:
                self._write(held)
        self._write(data)


class _Direct(NamedTuple):
    send: object
    """The server's own. If an application got another one, a wrapper around it needs to see the body."""
    writer: BodyWriter


def offer(scope: Any, send: object, writer: BodyWriter) -> None:
    """For the server: offers the writer to the application."""
    scope.setdefault("extensions", {})[_EXTENSION] = _Direct(send, writer)


def body_writer(scope: Scope, send: Send) -> BodyWriter | None:
    """For the application: the writer for this response, if the server offers one."""
    extensions: Mapping[str, Any] = scope.get("extensions") or {}
    direct = extensions.get(_EXTENSION)
    if not isinstance(direct, _Direct) or direct.send != send or scope["http_version"] != "1.1":
        return None
    return direct.writer
