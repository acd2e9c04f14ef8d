"""uvicorn's HTTP protocol with limits on the time for a request to arrive and on the size of its head.

It also offers each request a `BodyWriter`, and reports a disconnect to every request of the connection.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from mock_server.errors import ApiError, connections_full, head_too_large, not_http, request_timeout, too_many_headers
from mock_server.http.body_writer import BodyWriter, offer
from mock_server.http.connections import Connections, RareWarning
from mock_server.http.response_tally import NO_HANDLER, UNKNOWN_METHOD
from mock_server.process.descriptors import descriptor_limit
from mock_server.settings import ServerSettings
from mock_server.state import ServerState

_LONGEST_FAREWELL_S = 5.0  # for a client to read a refusal while it is still sending
_MOST_PIPELINED = 64
_PIPELINED_BYTES = 4_096  # roughly the memory of a pipelined request that waits for its turn
MOST_HEADERS = 128
"""A header of five bytes takes forty times as much memory, and each header takes time."""
_UNREAD_INTERVAL_S = 0.25
_FEW_DESCRIPTORS = 8
_out_of_descriptors = RareWarning()
_not_http = RareWarning()
_add_header = HttpToolsProtocol.on_header
_ANSWERED: Any = {"type": "http", "headers": ()}
"""Replaces the scope of a request that has been answered: an idle connection would keep its head in memory."""


class _EnoughError(Exception):
    """Ends the parsing of data when the rest of it is not needed."""


class _Stage(Enum):
    """The part of a request that is expected next."""

    START = auto()
    HEAD = auto()
    BODY = auto()


class HttpProtocol(HttpToolsProtocol):
    _writer: BodyWriter

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._pieces: list[bytes] = []
        """Pieces of a body in the data being parsed. A chunk may have a single byte, so each is only stored."""
        self.on_body = self._pieces.append  # type: ignore[method-assign, assignment]
        super().__init__(*args, **kwargs)
        self._server = _server_of(self.config.app)
        settings = self._server.settings if self._server is not None else ServerSettings()
        self._connections = self._server.connections if self._server is not None else Connections()
        self._max_head_bytes = settings.max_head_bytes
        self._read_timeout_s = settings.read_timeout_s
        self._stage = _Stage.START
        self._head_bytes = 0
        self._chunk_bytes = 0
        self._bytes_around_body = 0
        self._is_discarding = False
        """Whether to discard further data."""
        self._earlier_cycles: list[RequestResponseCycle] = []
        """Requests that were unanswered when the next one arrived. uvicorn reports a disconnect only to the latest."""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._writer = BodyWriter(transport)
        self._outlet = _Outlet(self, transport, self._writer)
        if not self._connections.add(self):
            self._is_discarding = True
            self._count_refusal(503)
            self._write_refusal(connections_full())
            transport.close()
            return
        _warn_of_few_descriptors(transport)
        self._start_timer()

    def drop(self) -> None:
        self._is_discarding = True
        self.transport.abort()

    def unread_bytes(self) -> int:
        return self.transport.get_write_buffer_size() + len(self.pipeline) * _PIPELINED_BYTES

    def data_received(self, data: bytes) -> None:
        if self._is_discarding:
            return
        self._chunk_bytes = len(data)
        if not self._parse(data):
            self._tell_connections()
            return
        if self._stage is _Stage.BODY:
            self._bytes_around_body += len(data)
            if self._bytes_around_body > self._max_head_bytes:
                self.transport.abort()  # an endless trailer, or an endless extension of a chunk
        if self._stage is _Stage.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > self._max_head_bytes:
                self._refuse(head_too_large(self._max_head_bytes))
                return
            if self._timer is None:
                self._start_timer()
            self._connections.mark_head(self, self._head_bytes)
        elif self._stage is _Stage.START and not self._is_answering():
            if self._timer is None:  # blank lines cancel uvicorn's own limit for idle connections
                self._start_timer()
        elif self._timer is not None:
            self._stop_timer()
        self._tell_connections()

    def _parse(self, data: bytes) -> bool:
        """Parses as uvicorn does, but limits how often it logs a warning: the client decides how often it is needed.

        Returns whether more data is wanted.
        """
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            if not self._is_discarding:
                _not_http.log("a client sent data that is not a valid HTTP request")
                self.send_400_response("")
        except httptools.HttpParserUpgrade as error:
            if self.parser.get_method() == b"CONNECT":
                self._close_after(self.cycle)  # a tunnel: the data after it is not a request
            else:
                self._parse_anew(data[error.args[0] :])
        self._take_pieces()
        return not self._is_discarding

    def _parse_anew(self, rest: bytes) -> None:
        """Parses a head again without its `Upgrade` header, because the server supports no other protocol.

        Otherwise, httptools would skip the body and every later request.
        """
        version = self.parser.get_http_version().encode()
        head = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        head += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse(b"\r\n".join((*head, b"", rest)))

    def _take_pieces(self) -> None:
        pieces = self._pieces
        if pieces:
            self._bytes_around_body = -self._chunk_bytes  # the data that they arrived in does not count
            if not self._is_discarding:
                super().on_body(b"".join(pieces))
            pieces.clear()

    def on_message_begin(self) -> None:
        if self._is_discarding:
            raise _EnoughError
        self._stage = _Stage.HEAD
        self._head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MOST_HEADERS:
            if self._stage is _Stage.HEAD:
                self._refuse(too_many_headers(MOST_HEADERS))
            raise _EnoughError
        _add_header(self, name, value)

    def on_headers_complete(self) -> None:
        self._stage = _Stage.BODY
        self._bytes_around_body = -self._chunk_bytes
        if self._is_discarding:
            raise _EnoughError
        if len(self.pipeline) >= _MOST_PIPELINED:
            self._close_after(self.cycle)
            raise _EnoughError
        if self._head_bytes + self._chunk_bytes > self._max_head_bytes and self._size_of_head() > self._max_head_bytes:
            self._refuse(head_too_large(self._max_head_bytes))
            raise _EnoughError
        if self._head_bytes:
            self._connections.mark_head_complete(self)
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._stage = _Stage.HEAD  # it will be read again
            return
        if self._is_answering():
            self._earlier_cycles.append(self.cycle)
        else:
            self._earlier_cycles.clear()
        super().on_headers_complete()
        cycle = self.cycle
        if cycle.scope is self.scope:  # its task starts in the loop's next iteration
            cycle.transport = self._outlet  # type: ignore[assignment]
            offer(self.scope, cycle.send, self._writer)
        self.headers = []  # collects trailers, so that they are not taken for headers

    def on_message_complete(self) -> None:
        if self._stage is _Stage.HEAD:
            return
        self._take_pieces()
        self._stage = _Stage.START
        if not self._is_discarding:
            super().on_message_complete()

    def eof_received(self) -> None:
        self._is_discarding = self._is_discarding or self._stage is not _Stage.START

    def send_400_response(self, msg: str) -> None:
        """Answers data that is not HTTP; the application does not see it."""
        self._count_refusal(400)
        broken = self.cycle if self._stage is _Stage.BODY and self._has_cycle() else None
        if broken is None:
            is_free, last = not self._is_answering(), self.cycle
        else:
            earlier = [cycle for cycle in self._earlier_cycles if not cycle.response_complete]
            is_free, last = not earlier and not broken.response_started, (earlier or [broken])[-1]
        if is_free:
            self._write_refusal(not_http())
            self.transport.close()
        else:
            self._close_after(last)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._stage is _Stage.START and self.cycle.response_complete:
            self.url = b""
            self.scope = self.cycle.scope = _ANSWERED
        self._tell_connections()

    def pause_writing(self) -> None:
        self._writer.is_writable = False
        super().pause_writing()
        self._tell_connections()
        if self._connections.mark_unread(self):
            self.loop.call_later(_UNREAD_INTERVAL_S, self._bound_unread)

    def resume_writing(self) -> None:
        self._writer.is_writable = True
        super().resume_writing()
        self._connections.mark_read(self)
        self._tell_connections()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writer.is_writable = False
        self._connections.remove(self)
        self._stop_timer()
        for cycle in self._earlier_cycles:
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)

    @property
    def is_waiting_for_body(self) -> bool:
        """Whether the body of the current request is incomplete."""
        return self._stage is _Stage.BODY

    def close_gently(self) -> None:
        """Closes the connection so that a client that is still sending can read the response."""
        self._is_discarding = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._stop_timer()
        self._timer = self.loop.call_later(_LONGEST_FAREWELL_S, self.transport.abort)

    def _unset_keepalive_if_required(self) -> None:
        """Keeps the timer while the rest of a body arrives after its response: it must not keep the connection open."""
        cycle: RequestResponseCycle | None = self.cycle
        if self._stage is not _Stage.BODY or cycle is None or not cycle.response_complete:
            super()._unset_keepalive_if_required()

    def _tell_connections(self) -> None:
        """Reports whether the client or the server must act next."""
        if not self._writer.is_writable or (self._stage is _Stage.BODY and not self._earlier_cycles):
            self._connections.mark_waiting(self)
        elif self._is_answering():
            self._connections.mark_busy(self)
        elif self._stage is _Stage.HEAD:
            self._connections.mark_half_open(self)
        elif self.cycle is not None:
            self._connections.mark_waiting(self)

    def _bound_unread(self) -> None:
        if self._connections.bound_unread():
            self.loop.call_later(_UNREAD_INTERVAL_S, self._bound_unread)

    def _has_cycle(self) -> bool:
        """Whether the request being read has reached the application."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.scope is self.scope

    def _is_answering(self) -> bool:
        """Whether an earlier request is still being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _start_timer(self) -> None:
        if self._read_timeout_s:
            self._timer = self.loop.call_later(self._read_timeout_s, self._is_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_late(self) -> None:
        """Called if a head is still incomplete, or if a connection has been silent."""
        self._timer = None
        if self._is_answering():
            self._start_timer()  # an earlier request is being answered
        elif self._stage is _Stage.START:
            self.transport.close()
        else:
            self._refuse(request_timeout("head", self._read_timeout_s))

    def _refuse(self, error: ApiError) -> None:
        """Answers in place of the application, which has not seen the request."""
        self._count_refusal(error.status)
        if self._is_answering():  # the refusal would be written into another response
            self._close_after(self.cycle)
        else:
            self._write_refusal(error)
            self.close_gently()

    def _count_refusal(self, status: int) -> None:
        if self._server is not None:
            self._server.metrics.responses[UNKNOWN_METHOD, NO_HANDLER, status] += 1

    def _write_refusal(self, error: ApiError) -> None:
        body = error.body()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
        headers["connection"] = "close"
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        self.transport.write(STATUS_LINE[error.status] + head.encode() + body)

    def _close_after(self, cycle: RequestResponseCycle) -> None:
        """Closes the connection once this request has been answered."""
        self._is_discarding = True
        self.flow.resume_reading()
        cycle.keep_alive = False


class _Outlet:
    """Replaces the transport for uvicorn, and discards data after the client has disconnected."""

    __slots__ = ("_protocol", "_transport", "_writer")

    def __init__(self, protocol: HttpProtocol, transport: asyncio.Transport, writer: BodyWriter) -> None:
        self._protocol = protocol
        self._transport = transport
        self._writer = writer

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._writer.pass_on(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        if self._protocol.is_waiting_for_body and not self._transport.is_closing():
            self._protocol.close_gently()
        else:
            self._transport.close()


def _warn_of_few_descriptors(transport: asyncio.Transport) -> None:
    """The kernel gives each connection the lowest free number. At the limit, uvloop silently closes new connections."""
    accepted = transport.get_extra_info("socket")
    if accepted is not None and accepted.fileno() >= descriptor_limit() - _FEW_DESCRIPTORS:
        _out_of_descriptors.log(
            f"nearly all {descriptor_limit()} file descriptors are in use: further connections cannot be accepted."
            " Raise the limit (ulimit -n), or lower --max-connections"
        )


def _server_of(app: Any) -> ServerState | None:
    """The state of this project's application; None for other applications."""
    found = getattr(getattr(app, "state", None), "server", None)
    return found if isinstance(found, ServerState) else None
