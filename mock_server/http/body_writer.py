"""A short way for a running body: to the transport, without ASGI's message, its checks and a coroutine for each event.

Our own server (`http_protocol`) offers it as an ASGI extension; under any other the body goes by `send`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.types import Scope, Send

_EXTENSION = "mock_server.body"
_SIZES = [b"%x\r\n" % size for size in range(1024)]
_LARGE = 64 * 1024
"""Copying so much costs more than a second write."""


class BodyWriter:
    """One connection's bodies in chunks of HTTP/1.1, for responses that say `transfer-encoding: chunked` themselves.

    `send` begins the response and ends it; between, what is written here takes its place in order.
    """

    __slots__ = ("_held", "_holds_next", "_write", "is_writable")

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._write = transport.write
        self._holds_next = False
        self._held = b""
        self.is_writable = True
        """False: the client reads too slowly, or is gone; `send` waits for it."""

    def write(self, body: bytes) -> None:
        """As one chunk; an empty one, which would end the body, is not written."""
        size = len(body)
        if size:
            self._write((_SIZES[size] if size < len(_SIZES) else b"%x\r\n" % size) + body + b"\r\n")

    def hold_head(self) -> None:
        """Call before `send` begins a response whose body follows at once: both go out in one write."""
        self._holds_next = True

    def pass_on(self, data: bytes) -> None:
        """The server's side: writes what `send` made."""
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
    """The server's own. Who was given another one has something around it that wants to see the body."""
    writer: BodyWriter


def offer(scope: Any, send: object, writer: BodyWriter) -> None:
    """The server's side."""
    scope.setdefault("extensions", {})[_EXTENSION] = _Direct(send, writer)


def body_writer(scope: Scope, send: Send) -> BodyWriter | None:
    """The application's side: the short way for this response, where there is one."""
    extensions: Mapping[str, Any] = scope.get("extensions") or {}
    direct = extensions.get(_EXTENSION)
    if not isinstance(direct, _Direct) or direct.send != send or scope["http_version"] != "1.1":
        return None
    return direct.writer
