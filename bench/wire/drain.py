"""Discards the rest of an answer that no request waits for, so that its connection can be used again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bench.target import ProtocolError, ResponseParser
from bench.wire.base import GRACE_S
from bench.wire.connection import KernelConnection


class ConnectionDrain:
    """Replaces the exchange as the reader of a connection. Calls `on_end` when the rest has ended, well or not."""

    __slots__ = ("_connection", "_on_end", "_parser", "_timer")

    def __init__(
        self,
        connection: KernelConnection,
        parser: ResponseParser,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[KernelConnection], None],
    ) -> None:
        self._connection, self._parser, self._on_end = connection, parser, on_end
        self._timer = loop.call_later(GRACE_S, self.stop)
        connection.reader, connection.shape = self, None

    def mark_sent(self, now_ns: int, took_ns: int, waited_ns: int) -> None:
        """The answer arrived before the server had read the whole request."""

    def feed(self, data: bytes, arrived_ns: int) -> None:
        """Bytes of the rest."""
        try:
            self._parser.feed(data)
        except ProtocolError:
            self.stop()
        else:
            if self._parser.complete:
                self._end(is_reusable=self._parser.keep_alive and not self._connection.is_sending)

    def feed_eof(self, cause: OSError | None) -> None:
        """The connection was closed or broke, which also ends the rest."""
        self._end(is_reusable=False)

    def stop(self) -> None:
        """Close the connection: the rest takes too long, or there are too many drains."""
        self._end(is_reusable=False)

    def _end(self, *, is_reusable: bool) -> None:
        self._timer.cancel()
        self._connection.reader = None
        if not is_reusable:
            self._connection.close()
        self._on_end(self._connection)
