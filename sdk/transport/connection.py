"""One HTTP/1.1 connection on asyncio, and the exchange that is on it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import cast

from sdk.deadline import SECOND_NS, Deadline, Timeouts
from sdk.errors import ConnectionLostError, ProtocolError, SDKError
from sdk.transport.base import FINISH_S, Block, Head, Origin
from sdk.transport.http1 import ResponseParser

# A reader that falls this far behind stops the socket, and TCP the server, until it has caught up.
PAUSE_AT_BYTES = 256 * 1024
RESUME_AT_BYTES = 64 * 1024
READ_BYTES = 64 * 1024


class Connection(asyncio.Protocol):
    """A socket that carries one exchange at a time.

    `on_lost(connection)` is called once when the socket is gone, `on_free(connection)` when an exchange has ended
    cleanly and another may begin. `body` is its parser's.
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
        self.origin = origin
        self.exchange: DirectExchange | None = None
        self.free_since_ns = 0
        self.loop = asyncio.get_running_loop()
        self.parser = ResponseParser(body)
        self._transport: asyncio.Transport | None = None
        self._on_free = on_free
        self._on_lost = on_lost
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_ns = math.inf

    @property
    def is_usable(self) -> bool:
        """Whether another exchange may begin on it, as far as this end knows."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_sending(self) -> bool:
        """Whether a part of the request has not gone out yet."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def start(self, payload: bytes, deadline: Deadline, *, opened: bool) -> DirectExchange:
        """Write a request; its exchange is then waited for with `head_arrived`."""
        self.parser.begin()
        exchange = self.exchange = DirectExchange(self, deadline, opened=opened)
        if self._transport is None:  # lost between being handed over and now
            exchange.feed_eof(None)
            return exchange
        self._transport.write(payload)
        exchange.mark_sent()
        return exchange

    def finish(self) -> None:
        """The exchange read its response to the end. Nothing may follow a request that did not go out whole."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None and self.parser.keep_alive and self.is_usable and not self.is_sending:
            self.free_since_ns = monotonic_ns()
            self._on_free(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the socket now; what was not sent is dropped."""
        self.exchange = None
        if self._transport is not None:
            self._transport.abort()

    # One timer a connection, set anew only when it fires or a limit comes nearer: a timer for each read, or even for
    # each request, would cost as much as reading it.

    def watch(self, expires_ns: float) -> None:
        """Have the exchange look at its limits at that time at the latest."""
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
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it

    def data_received(self, data: bytes) -> None:
        now_ns = monotonic_ns()
        if self.exchange is None:  # an idle connection has nothing to say: what comes belongs to no request
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
    """A connection for asyncio's own loop, which would else make and unmap 256 KiB of memory to read each token.

    `buffer` may serve all connections of a loop that reads and calls back in one go.
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


class DirectExchange:
    """An `AsyncExchange`: the response is parsed as it arrives, and waits here for its one reader."""

    __slots__ = (
        "_blocks",
        "_buffered_bytes",
        "_complete",
        "_connection",
        "_discard",
        "_error",
        "_loop",
        "_parser",
        "_paused",
        "_unread",
        "_waiter",
        "deadline",
        "head",
        "head_ns",
        "opened_connection",
        "sent_ns",
    )

    head: Head

    def __init__(self, connection: Connection, deadline: Deadline, *, opened: bool) -> None:
        self.deadline = deadline
        self.opened_connection = opened
        self.sent_ns = 0
        self.head_ns = 0
        self._connection: Connection | None = connection
        self._parser = connection.parser
        self._complete = False
        self._blocks: deque[Block] | tuple[()] = ()  # no deque until one is needed: a reader that keeps up has none
        self._buffered_bytes = 0
        self._paused = False
        self._discard = False
        self._unread = False  # a block was handed to a reader that has not come back
        self._error: SDKError | None = None
        self._loop = connection.loop
        self._waiter: asyncio.Future[Block | None] | None = None

    def mark_sent(self) -> None:
        self.sent_ns = monotonic_ns()
        self.deadline.enter("first_byte", self.sent_ns)
        self._watch()

    @property
    def has_bytes(self) -> bool:
        """Whether anything of an answer has arrived."""
        return self._parser.has_bytes

    async def head_arrived(self) -> None:
        """Wait for the header block. Raises what `AsyncTransport.send` says."""
        if self.head_ns == 0 and self._error is None:
            try:
                await self._wait()
            except asyncio.CancelledError:
                self.close()
                raise
        if self._error is not None and self.head_ns == 0:
            raise self._error

    async def read(self) -> Block | None:
        try:
            return await self.arrives()
        except asyncio.CancelledError:
            self.close()
            raise

    def arrives(self) -> asyncio.Future[Block | None]:
        self._unread = False
        return self._arrived() if self._blocks or self._error is not None or self._complete else self._wait()

    def _arrived(self) -> asyncio.Future[Block | None]:
        waiter: asyncio.Future[Block | None] = self._loop.create_future()
        if self._blocks:
            block = self._blocks.popleft()
            self._buffered_bytes -= len(block.data)
            if self._paused:
                self._resume()
            waiter.set_result(block)
        elif self._error is not None:
            waiter.set_exception(self._error)
        else:
            waiter.set_result(None)
        return waiter

    async def finish(self) -> None:
        self._discard = True
        self._blocks = ()
        self._buffered_bytes = 0
        if self._connection is not None:
            if self._paused:
                self._connection.resume_reading()
            self.deadline = Deadline(Timeouts(total=FINISH_S))
            self._watch()

    async def aclose(self) -> None:
        self.close()

    def close(self, why: str = "the exchange was closed by its reader") -> None:
        if self._connection is not None:
            self._fail(ConnectionLostError(why))

    def abandon(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its sockets with it
            self._loop.call_soon_threadsafe(self.close)

    # what the connection tells

    def feed(self, data: bytes, now_ns: int) -> None:
        parser = self._parser
        try:
            body = parser.feed(data)
        except ProtocolError as error:
            self._fail(error)
            return
        if self.head_ns == 0 and parser.head is not None:
            self._take_head(parser.head, now_ns)
        if body and not self._discard:
            waiter = self._waiter
            if waiter is not None and not waiter.done():  # its reader waits: no need to queue
                self._waiter = None
                self._unread = True
                waiter.set_result(Block(body, now_ns))
            else:
                self._keep(Block(body, now_ns))
        if parser.complete:
            self._release()
            self._wake()
        elif parser.error is not None:
            self._fail(parser.error)

    def feed_eof(self, cause: Exception | None) -> None:
        try:
            self._parser.feed_eof()
        except (ConnectionLostError, ProtocolError) as error:
            error.__cause__ = error.__cause__ or cause
            self._fail(error)
        else:
            self._release()
            self._wake()

    def _take_head(self, head: Head, now_ns: int) -> None:
        self.head, self.head_ns = head, now_ns
        self.deadline.enter("stall", now_ns)
        self._watch()
        self._wake()

    # back-pressure

    def _keep(self, block: Block) -> None:
        if not self._blocks:
            self._blocks = deque()
        self._blocks.append(block)
        self._buffered_bytes += len(block.data)
        if self._buffered_bytes > PAUSE_AT_BYTES and not self._parser.complete:
            self._pause()

    def _pause(self) -> None:
        if not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause_reading()

    def _resume(self) -> None:
        if self._buffered_bytes < RESUME_AT_BYTES and self._connection is not None:
            self._paused = False
            self._connection.resume_reading()

    # ending

    def _release(self) -> None:
        """The response is complete: the connection goes its way, what is buffered can still be read."""
        connection, self._connection = self._connection, None
        self._complete = True
        if connection is not None and connection.exchange is self:
            connection.finish()

    def _fail(self, error: SDKError) -> None:
        connection, self._connection = self._connection, None
        self._error = error
        if connection is not None and connection.exchange is self:
            connection.abort()
        self._wake()

    # waiting

    def _wait(self) -> asyncio.Future[Block | None]:
        """Done with the next block, or None when the head has arrived or nothing more comes."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("another task is reading this stream: one task reads, and hands on what others need")
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if self._error is None or self.head_ns == 0:
            waiter.set_result(None)
        else:
            waiter.set_exception(self._error)
            waiter.exception()  # seen: a reader that was cancelled meanwhile leaves no warning behind

    # limits

    def _watch(self) -> None:
        if self._connection is not None:
            self._connection.watch(self.deadline.expires_ns())

    def check_limits(self) -> None:
        """Fail if a limit has passed; else come back when the next one may have."""
        is_sending = self._connection is not None and self._connection.is_sending
        if self._blocks or self._unread or is_sending:  # the silence is not the server's: tokens wait for their reader
            self.deadline.progress(monotonic_ns())
        error = self.deadline.error()
        if error is None:
            self._watch()
        else:
            self._fail(error)
