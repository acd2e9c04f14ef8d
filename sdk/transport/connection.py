"""One HTTP/1.1 connection on asyncio."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from time import monotonic_ns
from typing import cast

from sdk.deadline import SECOND_NS, Deadline
from sdk.transport.base import Origin
from sdk.transport.exchange import DirectExchange
from sdk.transport.http1 import ResponseParser

READ_BYTES = 64 * 1024


class Connection(asyncio.Protocol):
    """A socket that carries one exchange at a time.

    It calls `on_free(connection)` when an exchange has ended cleanly and another may begin, and `on_lost(connection)`
    once, when the socket is closed. `body` is passed to its parser.
    """

    __slots__ = (
        "_on_free",
        "_on_lost",
        "_timer",
        "_timer_at_ns",
        "_transport",
        "exchange",
        "free_since_ns",
        "loop",
        "origin",
        "parser",
    )

    def __init__(
        self,
        origin: Origin,
        on_free: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
        body: list[bytes] | None = None,
    ) -> None:
        self.origin: Origin = origin
        self.exchange: DirectExchange | None = None
        self.free_since_ns: int = 0
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.parser: ResponseParser = ResponseParser(body)
        self._transport: asyncio.Transport | None = None
        self._on_free = on_free
        self._on_lost = on_lost
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_ns = math.inf

    @property
    def is_usable(self) -> bool:
        """Whether another exchange may begin on it, as far as this side knows."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_sending(self) -> bool:
        """Whether a part of the request is still unsent."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def start(self, payload: bytes, deadline: Deadline, *, opened: bool) -> DirectExchange:
        """Write a request; returns its exchange, whose `head_arrived` waits for the response."""
        self.parser.begin()
        exchange = self.exchange = DirectExchange(self, deadline, opened=opened)
        if self._transport is None:  # lost after it was handed over
            exchange.feed_eof(None)
            return exchange
        self._transport.write(payload)
        exchange.mark_sent()
        return exchange

    def finish(self) -> None:
        """End the exchange, whose response is complete. Another may follow only if the whole request was sent."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None and self.parser.keep_alive and self.is_usable and not self.is_sending:
            self.free_since_ns = monotonic_ns()
            self._on_free(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the socket now, and drop unsent data."""
        self.exchange = None
        if self._transport is not None:
            self._transport.abort()

    # One timer for each connection, set again only when it fires or a nearer limit begins: a timer for each read, or
    # even for each request, would cost as much as the reading.

    def watch(self, expires_ns: float) -> None:
        """Make the exchange check its limits at that time or before."""
        if expires_ns >= self._timer_at_ns:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at_ns = expires_ns
        self._timer = self.loop.call_later(max(0.0, (expires_ns - monotonic_ns()) / SECOND_NS), self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at_ns = None, math.inf
        if self.exchange is not None:
            self.exchange.check_limits()

    def pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods without the base class

    def data_received(self, data: bytes) -> None:
        now_ns = monotonic_ns()
        if self.exchange is None:  # nothing may arrive on an idle connection: it belongs to no request
            self.abort()
            return
        self.exchange.feed(data, now_ns)

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self.exchange = self.exchange, None
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._on_lost(self)
        if exchange is not None:
            exchange.feed_eof(exc)
        self.parser.discard()


class BufferedConnection(Connection, asyncio.BufferedProtocol):
    """A connection for asyncio's own loop, which would otherwise allocate and free 256 KiB to read each token.

    All connections of a loop may share `buffer`, if the loop reads and calls back in one step.
    """

    __slots__ = ("_buffer",)

    def __init__(
        self,
        origin: Origin,
        on_free: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
        body: list[bytes] | None,
        buffer: memoryview,
    ) -> None:
        super().__init__(origin, on_free, on_lost, body)
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))
