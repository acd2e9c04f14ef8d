"""Follows a request through an httpx-style client by its `trace` extension: its phases and its connection.

These clients do not report whether a request used a kept connection, or whether any bytes came back on it. Both decide
whether the request may be sent again.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from time import monotonic_ns
from typing import Any
from weakref import WeakSet, ref

from sdk.deadline import SECOND_NS, Deadline
from sdk.errors import ConnectionLostError, ProtocolError
from sdk.transport.race import prepare

# How long a blocking read may take after a limit, and for how long such reads go on.
LAST_S = 0.001
MAX_HEAD_BYTES = 256 * 1024  # more than the client's own limits, and than one read
LATE_NS = SECOND_NS // 2
_LINKS = ("_stream", "_httpcore_stream", "_connection")  # from a response to its connection
_CONNECTING = frozenset({"connect_tcp", "connect_unix_socket", "start_tls"})
_travelling: ContextVar[Journey | None] = ContextVar("travelling", default=None)


class Journey:
    """One request on its way through a client; its trace sets the phases of the deadline."""

    def __init__(self, deadline: Deadline, taps: WeakSet[Tap], *, keeps_alive: bool) -> None:
        self.tap: Tap | None = None
        self.has_connected: bool = False
        self.is_heard: bool = False
        self.has_head: bool = False
        self._head_bytes = 0
        self.is_shared: bool = False
        self.sent_ns: int = monotonic_ns()
        self.new_stream: Any = None  # of a connection in the making, which a client may forget when it is interrupted
        self.deadline = deadline
        self._late_ns = 0
        self._taps = taps
        self._keeps_alive = keeps_alive
        self._peer: Any = None

    @property
    def met_a_dead_connection(self) -> bool:
        """Whether it used a kept connection on which no bytes came back."""
        return self.tap is not None and not self.has_connected and not self.is_heard

    def bounds_reads(self) -> bool:
        """Make each blocking read on the connection end within the deadline; returns whether that is possible."""
        if self.tap is None or self.is_shared or not self.tap.reads_at_once:
            return False
        self.tap.bounds_reads = True
        return True

    def hear(self, size: int) -> None:
        """Note that bytes arrived. Raises ProtocolError for endless interim responses, which the client would read."""
        self.is_heard = True
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES and not (self.has_head or self.is_shared):
            raise ProtocolError(f"the response's headers and interim responses are over {MAX_HEAD_BYTES} bytes")

    def read_s(self) -> float | None:
        """How long the next read may take. Raises the RequestTimeoutError of a limit that passed a while ago."""
        left_s = self.deadline.remaining_s()
        if left_s != 0.0:
            self._late_ns = 0
            return left_s
        now_ns = monotonic_ns()
        self._late_ns = self._late_ns or now_ns
        if now_ns >= self._late_ns + LATE_NS:
            raise self.deadline.error(now_ns) or self.deadline.nearest_error()
        return LAST_S

    @contextlib.contextmanager
    def travelling(self) -> Iterator[None]:
        """Wraps the sending: everything written within it belongs to this request."""
        token = _travelling.set(self)
        try:
            yield
        finally:
            _travelling.reset(token)

    def note(self, event: str, info: dict[str, Any]) -> None:
        """The `trace` callback for blocking clients."""
        layer, _, rest = event.partition(".")
        what, _, stage = rest.partition(".")
        if what in _CONNECTING:
            if stage == "started":
                self.has_connected = True
                self._peer = (info["host"], info["port"]) if "host" in info else self._peer
                self.deadline.enter("connect")
            elif stage == "complete":
                self._take_stream(info["return_value"], keeps_alive=self._keeps_alive and what == "connect_tcp")
        elif stage == "started" and "request" in info and info["request"].method != b"CONNECT":
            if what == "send_request_headers":
                self.new_stream = None
                self.is_shared = layer == "http2"
                self.deadline.enter("send")
            elif what == "receive_response_headers":
                self.sent_ns = monotonic_ns()
                self.deadline.enter("first_byte", self.sent_ns)
        elif what == "receive_response_headers" and stage == "complete":
            self.has_head = True

    async def anote(self, event: str, info: dict[str, Any]) -> None:
        """The `trace` callback for asynchronous clients."""
        self.note(event, info)

    def take_answer(self, response: Any) -> None:
        """Remember the parser of the connection: it may hold bytes after this response."""
        if self.tap is not None and not self.is_shared and self.tap.parser is None:
            self.tap.parser = _parser_of(response)

    def end(self) -> None:
        """The exchange is over."""
        if self.tap is not None:
            self.tap.leave(self)

    def shut(self) -> None:
        """End the connection during a blocking read, unless other requests share it."""
        if self.tap is not None and not self.is_shared:
            self.tap.shut()

    def shut_idle(self) -> None:
        """End the idle connections to the same peer: others may be dead too, and a resend needs a new one."""
        for tap in list(self._taps):
            if self.tap is not None and tap.peer == self.tap.peer and not tap.journeys:
                tap.shut()

    def _take_stream(self, stream: Any, *, keeps_alive: bool) -> None:
        self.new_stream = stream
        if keeps_alive:
            with _socket_of(stream) as connected:
                prepare(connected)
        self._taps.add(Tap(stream, self._peer))


class Journeys:
    """The requests of one transport, and the connections that they opened in its client."""

    def __init__(self, *, keeps_alive: bool, replay: bool) -> None:
        self._taps: WeakSet[Tap] = WeakSet()
        self._keeps_alive = keeps_alive
        self._replay = replay

    def begin(self, deadline: Deadline) -> Journey:
        # a client with a pool reports to the trace that it has a connection; one without a pool reports nothing
        deadline.enter("pool" if self._taps else "first_byte")
        return Journey(deadline, self._taps, keeps_alive=self._keeps_alive)

    def may_replay(self, journey: Journey) -> bool:
        """Whether to resend a request after its connection was lost; if so, closes idle connections."""
        if not (self._replay and journey.met_a_dead_connection):
            return False
        journey.shut_idle()
        return True


class Tap:
    """Observes one connection of a client: the requests written to it, and whether bytes come back."""

    def __init__(self, stream: Any, peer: Any) -> None:
        self.peer = peer
        self.journeys: set[Journey] = set()  # the ones that have not ended
        self.bounds_reads: bool = False
        self.parser: Any = None
        self._stream: Callable[[], Any] = ref(stream)
        self._kind: Any = type(stream)
        # other kinds may read the socket several times for one block
        self.reads_at_once: bool = self._kind.__name__ == "SyncStream"
        is_async = hasattr(stream, "aclose")
        self._listen = self._aread if is_async else self._read
        stream.write = self._awrite if is_async else self._write

    def shut(self) -> None:
        """End the connection from outside; a read in progress then sees the end of the stream."""
        with contextlib.suppress(Exception), _socket_of(self._stream()) as connected:
            connected.shutdown(socket.SHUT_RDWR)

    def leave(self, journey: Journey) -> None:
        """The request has ended."""
        self.journeys.discard(journey)
        self.bounds_reads = False
        if not self.journeys:
            self._stop_listening()

    def _write(self, *data: Any, **limits: Any) -> Any:
        return self._kind.write(self._written(), *data, **limits)

    async def _awrite(self, *data: Any, **limits: Any) -> Any:
        return await self._kind.write(self._written(), *data, **limits)

    def _read(self, size: int, timeout: float | None = None) -> bytes:
        if self.bounds_reads:
            [journey] = self.journeys
            timeout = journey.read_s()
        return self._heard(self._kind.read(self._stream(), size, timeout))

    async def _aread(self, *size: Any, **limits: Any) -> bytes:
        return self._heard(await self._kind.read(self._stream(), *size, **limits))

    def _written(self) -> Any:
        """Note which request is being written, and observe its response.

        Raises ConnectionLostError if bytes followed the last response: the client would take them for this one's.
        """
        stream, journey = self._stream(), _travelling.get()
        if journey is not None and journey.tap is not self:
            journey.end()
            journey.tap = self
            self.journeys.add(journey)
            stream.read = self._listen
            if self.parser is not None and self.parser.trailing_data[0]:
                raise ConnectionLostError("the server sent data after its last response on this connection")
        return stream

    def _heard(self, data: bytes) -> bytes:
        if data:
            for journey in self.journeys:
                journey.hear(len(data))
            if not self.reads_at_once and all(journey.has_head or journey.is_shared for journey in self.journeys):
                self._stop_listening()  # the rest does not matter
        return data

    def _stop_listening(self) -> None:
        if (stream := self._stream()) is not None:
            stream.__dict__.pop("read", None)


def _parser_of(response: Any) -> Any:
    """The h11 connection of an HTTP/1.1 response, which has no public name; None for other responses."""
    link = getattr(response, "stream", None)
    while link is not None:
        if (parser := getattr(link, "_h11_state", None)) is not None:
            return parser if hasattr(parser, "trailing_data") else None
        names = vars(link) if hasattr(link, "__dict__") else {}
        link = next((names[name] for name in _LINKS if name in names), None)
    return None


@contextlib.contextmanager
def _socket_of(stream: Any) -> Iterator[socket.socket]:
    """A duplicate of the socket of a client's stream, which works the same on every event loop."""
    with socket.socket(fileno=os.dup(stream.get_extra_info("socket").fileno())) as connected:
        yield connected
