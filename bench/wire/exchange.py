"""One request and its answer over a kernel connection: HTTP, time limits, and how it ends."""

from __future__ import annotations

import asyncio
import math
from time import monotonic_ns

from bench.answer.chunk_shape import PIECE_END, ChunkShape
from bench.answer_limits import MOST_FRAMING_BYTES
from bench.target import ConnectionLostError, Deadline, ProtocolError, ResponseParser
from bench.units import NS_PER_S
from bench.wire.base import PATIENCE_S, PieceReceiver
from bench.wire.connection import KernelConnection


class _Parser(ResponseParser):
    """Also knows whether it is between two chunks of the body."""

    __slots__ = ("is_between_chunks",)

    def __init__(self) -> None:
        super().__init__()
        self.is_between_chunks = False

    def on_chunk_header(self) -> None:
        self.is_between_chunks = False

    def on_chunk_complete(self) -> None:
        self.is_between_chunks = True


class KernelExchange:
    """Feeds a receiver as bytes arrive. `ended` is done when the answer is over, with the error if there was one.

    `over_ns` is when the answer was over: the arrival of the last bytes that the bench waited for. `sent_ns` is when
    the last byte of the request was handed to the kernel.
    """

    __slots__ = (
        "_between",
        "_connection",
        "_deadline",
        "_framing_bytes",
        "_has_head",
        "_is_ending",
        "_loop",
        "_misses",
        "_receiver",
        "_shape",
        "_timer",
        "_timer_at_ns",
        "ended",
        "over_ns",
        "parser",
        "sent_ns",
    )

    def __init__(
        self, connection: KernelConnection, deadline: Deadline, receiver: PieceReceiver, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connection = connection
        self._deadline = deadline
        self._receiver = receiver
        self._loop = loop
        self.parser = _Parser()
        self._between = False
        self._shape: ChunkShape | None = None
        self._misses = self._framing_bytes = 0
        self._has_head = self._is_ending = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_ns = math.inf
        self.sent_ns = self.over_ns = 0
        self.ended: asyncio.Future[None] = loop.create_future()

    @property
    def leaves_reusable(self) -> bool:
        """Whether the connection may carry another exchange after this one."""
        connection = self._connection
        return self.parser.complete and self.parser.keep_alive and connection.is_open and not connection.is_sending

    def mark_sent(self, now_ns: int, took_ns: int, waited_ns: int) -> None:
        """The last byte of the request was handed to the kernel; `waited_ns` of that the server did not read it."""
        self.sent_ns = now_ns
        self._receiver.timing.waited_ns += waited_ns
        self._receiver.sent(now_ns, took_ns)
        self._deadline.enter("first_byte", now_ns)
        self._arm()

    def feed(self, data: bytes, arrived_ns: int) -> None:
        """The bytes of one read."""
        parser, connection, between = self.parser, self._connection, self._between
        try:
            if between and (taken := self._take_plain(data, arrived_ns)):
                if taken == len(data):
                    return
                data = data[taken:]
            body = parser.feed(data)
            if not self._has_head and parser.head is not None:
                self._has_head = True
                self._deadline.enter("stall", arrived_ns)
                self._arm()
                self._receiver.begin(parser.head, arrived_ns)
            if body:
                self._framing_bytes = 0
                enough = self._receiver.take(body, arrived_ns, connection)
            else:
                enough = False
                self._count_framing(data)
            # After half of a size line the parser is still between chunks, but the data does not end with a line end.
            self._between = parser.is_between_chunks and data.endswith(b"\r\n")
            if between and self._between and not enough:
                self._learn_shape(data)
            connection.shape = self._shape if self._between else None
        except Exception as error:  # passed to the caller that waits, even if it is a fault of the bench
            self._end(error, arrived_ns)
            return
        if parser.complete:
            self._end(None, arrived_ns)
        elif enough:
            self._wait_for_end()

    def _count_framing(self, data: bytes) -> None:
        """Count bytes that are not part of a body; a server may send those without end, too."""
        self._framing_bytes += len(data)
        if self._framing_bytes > MOST_FRAMING_BYTES:
            raise ProtocolError(f"the server sent over {MOST_FRAMING_BYTES:,} bytes that belong to no body")

    def _take_plain(self, data: bytes, arrived_ns: int) -> int:
        """Take the plain chunks at the start of a read with several chunks. Returns how many bytes they were."""
        shape, connection, last = self._shape, self._connection, len(data) - len(PIECE_END)
        at, found = 0, data.find(PIECE_END)
        if shape is None or found in (-1, last):  # a single chunk was tried before
            return 0
        doubt_ns = connection.doubt_ns()
        while found != -1:
            is_sure = found == last and connection.is_sure
            end = found + len(PIECE_END)
            if not shape.take(data[at:end], arrived_ns, 0 if is_sure else doubt_ns):
                break
            at, found = end, data.find(PIECE_END, end)
        if at:
            self._misses = 0
            self._receiver.took_plain(arrived_ns, doubt_ns)
        return at

    def _learn_shape(self, data: bytes) -> None:
        """Learn the shape of the next chunks from the one just parsed, if the known shape no longer fits."""
        self._misses += 1
        if self._shape is None or self._misses > 1:
            self._misses = 0
            self._shape = self._receiver.learn_shape(data)

    def feed_eof(self, cause: OSError | None) -> None:
        """The connection was closed or broke."""
        now_ns = monotonic_ns()
        try:
            self.parser.feed_eof()
        except ConnectionLostError as error:
            error.__cause__ = cause
            self._end(error, now_ns)
        else:
            self._end(None, now_ns)

    def cancel(self) -> None:
        """The caller no longer waits. What has arrived is still handed over."""
        self._connection.catch_up()
        self._disarm()
        self._connection.reader = self._connection.shape = None
        self._connection.close()

    def _end(self, error: Exception | None, at_ns: int) -> None:
        self._disarm()
        self._connection.reader = self._connection.shape = None
        if not self.leaves_reusable:
            self._connection.close()
        if not self.ended.done():
            self.over_ns = at_ns
            if error is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(error)

    def _wait_for_end(self) -> None:
        """All that matters has arrived. Wait a little for the end of the body, which frees the connection."""
        if not self._is_ending:
            self._is_ending = True
            self._disarm()
            self._timer = self._loop.call_later(PATIENCE_S, self._release)

    def _release(self) -> None:
        """Do not let the next request wait any longer for the end of the body."""
        self._disarm()
        self._connection.shape = None
        if not self.ended.done():
            self.over_ns = monotonic_ns()
            self.ended.set_result(None)

    # One timer per exchange, set again only when it fires early: the limits move with every token.

    def _arm(self) -> None:
        expires_ns = self._deadline.expires_ns()
        if expires_ns < self._timer_at_ns:
            self._disarm()
            self._timer_at_ns = expires_ns
            delay_s = max(0.0, (expires_ns - monotonic_ns()) / NS_PER_S)
            self._timer = self._loop.call_later(delay_s, self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at_ns = None, math.inf

    def _on_timer(self) -> None:
        self._timer, self._timer_at_ns = None, math.inf
        self._receiver.catch_up()
        if self._deadline.error() is not None:
            self._connection.read_now()  # bytes that are still unread mean that the server was not silent
            self._connection.catch_up()
        if self.ended.done():
            return
        self._receiver.catch_up()
        error = self._deadline.error()
        if error is None:
            self._arm()
        else:
            self._end(error, monotonic_ns())
