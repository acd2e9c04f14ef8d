"""The direct transport for threads: blocking sockets and llhttp. The default of the blocking client."""

from __future__ import annotations

import select
import ssl
from contextlib import suppress
from socket import socket
from time import monotonic_ns
from weakref import finalize

from sdk.deadline import Deadline, Timeouts
from sdk.errors import ConnectionLostError, SDKError
from sdk.transport.base import FINISH_S, Block, Head, Request
from sdk.transport.blocking_pool import BlockingConnection, BlockingPool
from sdk.transport.http1 import Payload
from sdk.transport.origin_pool import IDLE_S, MAX_CONNECTIONS

READ_BYTES = 64 * 1024
# Most kernels accept this much in one call. While more is sent, the transport watches for an early answer.
SEND_BYTES = 64 * 1024
# Over TLS Python sends record by record, and a timeout would apply to each of them.
TLS_SEND_BYTES = 16 * 1024
# How much is still read after a limit: it may have arrived in time, while the process was stopped or the reader busy.
LAST_BYTES = 1024 * 1024
# A server that has sent so much before it has read the request does not need the rest of it.
MAX_EARLY_BYTES = 256 * 1024
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BlockingTransport:
    """HTTP/1.1 over keep-alive sockets that threads share.

    If a kept connection turns out to be dead before the first byte of the answer, the transport sends the request once
    more on a new connection (`replay=False` turns that off).
    """

    keeps_limits = True

    def __init__(
        self,
        *,
        max_connections: int = MAX_CONNECTIONS,
        idle_s: float = IDLE_S,
        ssl_context: ssl.SSLContext | None = None,
        replay: bool = True,
    ) -> None:
        self.pool: BlockingPool = BlockingPool(max_connections=max_connections, idle_s=idle_s, ssl_context=ssl_context)
        self._replay = replay
        finalize(self, self.pool.close)  # closes the pool at exit, and if nobody calls close

    def __repr__(self) -> str:
        return f"<BlockingTransport {self.pool!r}>"

    def send(self, request: Request, deadline: Deadline) -> BlockingExchange:
        payload = Payload(request)
        exchange = self._start(request, deadline, fresh=False)
        try:
            exchange.ask(payload)
        except ConnectionLostError:
            if exchange.opened_connection or exchange.has_bytes or not self._replay:
                raise
            exchange = self._start(request, deadline, fresh=True)
            exchange.ask(payload)
        return exchange

    def close(self) -> None:
        self.pool.close()

    def _start(self, request: Request, deadline: Deadline, *, fresh: bool) -> BlockingExchange:
        connection, opened = self.pool.acquire(request.origin, deadline, fresh=fresh)
        return BlockingExchange(self.pool, connection, deadline, opened=opened)


class BlockingExchange:
    """An `Exchange`: each read takes the bytes that wait in the socket and returns the body bytes among them."""

    head: Head

    def __init__(self, pool: BlockingPool, connection: BlockingConnection, deadline: Deadline, *, opened: bool) -> None:
        self.opened_connection = opened
        self.sent_ns: int = 0
        self.head_ns: int = 0
        self._pool = pool
        self._connection: BlockingConnection | None = connection
        self._deadline = deadline
        self._parser = connection.parser
        self._parser.begin()
        self._complete = False
        self._is_late = False  # a limit has passed, and the waiting bytes have been read
        self._is_spoilt = False  # the request was not sent to its end, so no other may follow it
        self._early_bytes = 0
        self._body = b""

    @property
    def has_bytes(self) -> bool:
        """Whether anything of an answer has arrived."""
        return self._parser.has_bytes

    def ask(self, payload: Payload) -> None:
        """Send the request and wait for the header block. Raises as `AsyncTransport.send`."""
        connection = self._connection
        assert connection is not None  # noqa: S101 - an exchange is asked once, right after it was made
        try:
            self._deadline.enter("send")
            at_once = TLS_SEND_BYTES if isinstance(connection.socket, ssl.SSLSocket) else SEND_BYTES
            if len(payload.data) <= at_once:
                connection.socket.settimeout(self._deadline.remaining_s())
                connection.socket.sendall(payload.data)
            else:
                self._send_watching(connection.socket, payload)
        except SDKError:  # an early answer that is not HTTP, or that ends the connection
            self.close()
            raise
        except ConnectionError as error:  # the server may have answered early, for example with a 413
            self._is_spoilt = True
            limits, self._deadline = self._deadline, Deadline(Timeouts(total=FINISH_S))
            try:
                self._receive_head()
            except SDKError:
                raise self._failed(error) from error
            finally:
                self._deadline = limits
        except OSError as error:
            raise self._failed(error) from error
        except BaseException:  # Ctrl-C
            self.close()
            raise
        else:
            self.sent_ns = monotonic_ns()
            self._deadline.enter("first_byte", self.sent_ns)
            self._receive_head()
        self._deadline.enter("stall", self.head_ns)

    def _send_watching(self, connected: socket, payload: Payload) -> None:
        """Send a large request; an early error (RFC 9112 §9.5) or a long early answer ends the sending."""
        connected.settimeout(0)
        poll = select.poll()
        poll.register(connected, select.POLLIN | select.POLLOUT)
        left = memoryview(payload.data)
        while left and not self._is_spoilt:
            try:
                left = left[connected.send(left[:SEND_BYTES]) :]
            except _NOT_NOW:
                left_s = self._deadline.remaining_s()
                ready = poll.poll(None if left_s is None else left_s * 1000)
                if not ready or left_s == 0.0:  # a server that keeps sending would hide that time is up
                    raise TimeoutError from None
                if ready[0][1] & ~select.POLLOUT:
                    self._is_spoilt = self._answers_early(connected)

    def _answers_early(self, connected: socket) -> bool:
        """Read an early answer; returns whether it makes the rest of the request pointless."""
        try:
            data = connected.recv(READ_BYTES)
        except _NOT_NOW:
            return False  # for example, half a TLS record
        arrived_ns, parser = monotonic_ns(), self._parser
        self._early_bytes += len(data)
        if data:
            self._body += parser.feed(data)
        else:
            parser.feed_eof()
        if parser.head is None:
            return False  # an interim response, or the beginning of one
        self.head_ns = self.head_ns or arrived_ns
        return parser.complete or parser.head.status >= 300 or self._early_bytes > MAX_EARLY_BYTES

    def _receive_head(self) -> None:
        arrived_ns = self.head_ns
        while self._parser.head is None:
            arrived_ns = self._receive()
        self.head, self.head_ns = self._parser.head, arrived_ns

    def read(self) -> Block | None:
        arrived_ns = self.head_ns
        while True:
            data, self._body = self._body, b""
            if data:  # the first may have arrived with the header block
                return Block(data, arrived_ns)
            if self._complete or self._parser.complete:
                self._release()
                return None
            arrived_ns = self._receive()

    def finish(self) -> None:
        """Read to the end if it follows immediately; otherwise close the connection."""
        self._deadline = Deadline(Timeouts(total=FINISH_S))
        try:
            while self.read() is not None:
                pass
        except SDKError:
            pass  # the answer is complete: an error after it does not matter
        self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.discard(connection)

    def _receive(self) -> int:
        """Wait for bytes and parse them; returns the time of their arrival in monotonic nanoseconds."""
        connection = self._connection
        if connection is None:
            raise ConnectionLostError("the exchange was closed by its reader")
        try:
            left_s = self._deadline.remaining_s()
            if self._is_late and left_s == 0.0:
                raise self._deadline.late_error()
            connection.socket.settimeout(left_s)
            self._is_late = left_s == 0.0
            data = _all_that_waits(connection.socket) if self._is_late else connection.socket.recv(READ_BYTES)
            arrived_ns = monotonic_ns()
            if data:
                self._body = self._parser.feed(data)
            else:
                self._parser.feed_eof()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, SDKError):
                raise self._failed(error) from error
            raise  # the parser's own, or Ctrl-C
        return arrived_ns

    def _failed(self, error: OSError) -> SDKError:
        """The SDK's error for an error of the socket; closes the connection."""
        self.close()
        if isinstance(error, (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)):
            return self._deadline.late_error()
        where = "before any answer" if self.head_ns == 0 else "in the middle of the answer"
        return ConnectionLostError(f"the connection broke {where}: {error.strerror or error}")

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        self._complete = True
        if connection is None:
            return
        if self._parser.keep_alive and not self._is_spoilt:
            self._pool.release(connection)
        else:
            self._pool.discard(connection)


def _all_that_waits(connected: socket) -> bytes:
    """The bytes that wait in a non-blocking socket. Raises BlockingIOError, or its TLS counterpart, if none do."""
    data = connected.recv(READ_BYTES)
    with suppress(OSError):  # nothing more, or the end, which the next read sees
        while 0 < len(data) < LAST_BYTES and (more := connected.recv(READ_BYTES)):
            data += more
    return data
