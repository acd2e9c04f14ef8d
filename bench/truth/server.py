"""The truth server: one thread, one epoll, absolute deadlines; each write is stamped just before the kernel gets it."""

from __future__ import annotations

import heapq
import select
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns
from typing import Any, NamedTuple

import msgspec

from bench import kernel_stamps
from bench.truth.log import Truth, write_log
from bench.truth.request import Incoming, RequestReader
from bench.truth.script import SHAPES, Manner, Order, Script, Write, make_script
from bench.units import NS_PER_MS, NS_PER_S

_READ_BYTES = 64 * 1024
_LIST = 1024
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_END = b"0\r\n\r\n"
# Fewer tokens than in any shape: the bench requests these before the load.
_WARMUP_TOKENS = 16
# How long after an answer connections are closed, in turn: before the next request, with it, and after it.
_CLOSE_AFTER_NS = (0, 200_000, 500_000)


class _Piece(NamedTuple):
    """A write as it goes out: framed, and how many of the answer's events are whole with it."""

    due_ms: float
    data: bytes
    events: int


class _Plan(NamedTuple):
    """A prepared script, shared by all requests with the same order. A serial prefill takes `ttft_ms`."""

    pieces: tuple[_Piece, ...]
    tokens: list[int]
    visible: list[bool]
    outcome: str
    cut: bool
    manner: Manner
    has_usage: bool
    ttft_ms: float


def _ready(script: Script, order: Order, manner: Manner, *, has_usage: bool) -> _Plan:
    pieces: list[_Piece] = []
    due_ms = 0.0
    for number, write in enumerate(script.writes):
        due_ms += write.after_ms
        is_last = number == len(script.writes) - 1
        ends = is_last and not script.cut and not manner.body_end_ms
        pieces.append(_Piece(due_ms, _chunk(write, ends), len(write.events)))
    if manner.body_end_ms:
        pieces.append(_Piece(due_ms + manner.body_end_ms, _END, 0))
    events = [event for write in script.writes for event in write.events]
    tokens, visible = [e.tokens for e in events], [e.visible for e in events]
    return _Plan(tuple(pieces), tokens, visible, script.outcome, script.cut, manner, has_usage, order.ttft_ms)


def _chunk(write: Write, is_last: bool) -> bytes:
    return b"%x\r\n%b\r\n" % (len(write.data), write.data) + (_END if is_last else b"")


class TruthServer:
    """Serves until `stopping()`. Answers follow the order in a request's `truth` field, else `default`."""

    def __init__(self, listener: socket.socket, default: Order, log: Path) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._default = default
        self._log = log
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN)
        self._connections: dict[int, _Connection] = {}
        self._due: list[tuple[int, int, _Connection]] = []
        self._order = 0
        self._plans: dict[tuple[Order, Manner], _Plan] = {}
        self._under_way = self._closed = self._prefilled_ns = 0
        self._ended: list[tuple[Incoming, int, list[int], _Plan]] = []

    def run(self, stopping: Callable[[], bool]) -> None:
        """Serve."""
        while not stopping():
            wait_s = max(0.0, (self._due[0][0] - monotonic_ns()) / NS_PER_S) if self._due else 0.2
            # select counts in microseconds where epoll has milliseconds.
            if wait_s == 0 or select.select([self._epoll], [], [], min(wait_s, 0.2))[0]:
                self._serve(self._epoll.poll(0, _LIST))
            self._write_due()
        self.flush()

    def flush(self) -> None:
        """Log the answers that have ended."""
        ended, self._ended = self._ended, []
        write_log(
            self._log,
            (
                Truth(
                    incoming.id,
                    read_ns,
                    stamps,
                    plan.tokens[: len(stamps)],
                    plan.visible[: len(stamps)],
                    plan.outcome,
                    plan.has_usage,
                )
                for incoming, read_ns, stamps, plan in ended
            ),
        )

    def schedule(self, at_ns: int, connection: _Connection) -> None:
        """Let a connection write its next piece at that time."""
        self._order += 1
        heapq.heappush(self._due, (at_ns, self._order, connection))

    def end(self, incoming: Incoming, read_ns: int, stamps: list[int], plan: _Plan) -> None:
        """An answer is over."""
        self._under_way -= 1
        self._ended.append((incoming, read_ns, stamps, plan))

    def close_after_ns(self) -> int:
        """How long after an answer its connection is to be closed."""
        self._closed += 1
        return _CLOSE_AFTER_NS[self._closed % len(_CLOSE_AFTER_NS)]

    def watch(self, connection: _Connection, *, writable: bool) -> None:
        """Whether a connection waits until it can write."""
        self._epoll.modify(connection.fd, select.EPOLLIN | (select.EPOLLOUT if writable else 0))

    def forget(self, connection: _Connection) -> None:
        """A connection is to be closed."""
        if self._connections.pop(connection.fd, None) is not None:
            self._epoll.unregister(connection.fd)

    def answer(self, incoming: Incoming, read_ns: int, connection: _Connection) -> None:
        """Begin the answer to a request."""
        if incoming.path == "/flush":
            self.flush()
        if incoming.method == "GET" or incoming.path == "/flush":
            connection.reply({"object": "list", "data": [{"id": "truth", "object": "model"}]})
            return
        plan = self._plan_for(incoming.body)
        if plan is None:
            connection.reply({"error": {"message": "no order that the truth server understands"}}, b"400 Bad Request")
            return
        self._under_way += 1
        if plan.manner.most_open is not None and self._under_way > plan.manner.most_open:
            self.end(incoming, read_ns, [], plan._replace(outcome="http_429"))
            connection.reply({"error": {"message": "too many at once"}}, b"429 Too Many Requests")
        else:
            connection.begin(incoming, read_ns, self._base_ns(read_ns, plan), plan)

    def _base_ns(self, read_ns: int, plan: _Plan) -> int:
        """When an answer begins: at the arrival of its request, or when earlier prompts are prefilled."""
        if not plan.manner.is_serial:
            return read_ns
        base_ns = max(read_ns, self._prefilled_ns)
        self._prefilled_ns = base_ns + round(plan.ttft_ms * NS_PER_MS)
        return base_ns

    def _plan_for(self, body: bytes) -> _Plan | None:
        try:
            asked = msgspec.json.decode(body)
            order = msgspec.convert(asked["truth"], Order) if "truth" in asked else self._default
            tokens = int(asked.get("max_tokens", order.tokens))
            manner = SHAPES[order.shape].manner
            if tokens <= _WARMUP_TOKENS and not manner.ignores_length:
                order, manner = Order("one", tokens), Manner(closes=manner.closes)
            elif "truth" not in asked:
                order = msgspec.structs.replace(order, tokens=tokens)
            if (order, manner) not in self._plans:
                script, has_usage = make_script(order), SHAPES[order.shape].usage
                self._plans[order, manner] = _ready(script, order, manner, has_usage=has_usage)
        except (msgspec.DecodeError, msgspec.ValidationError, TypeError, ValueError, KeyError):
            return None
        return self._plans[order, manner]

    def _serve(self, ready: list[tuple[int, int]]) -> None:
        for fd, events in ready:
            if fd == self._listener.fileno():
                self._accept()
            elif (connection := self._connections.get(fd)) is not None:
                if events & select.EPOLLOUT:
                    connection.write_rest()
                if events & ~select.EPOLLOUT:
                    connection.read()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            connection = _Connection(accepted, self)
            self._connections[connection.fd] = connection
            self._epoll.register(connection.fd, select.EPOLLIN)

    def _write_due(self) -> None:
        now_ns = monotonic_ns()
        while self._due and self._due[0][0] <= now_ns:
            heapq.heappop(self._due)[2].write_next()


class _Connection:
    """One client's socket, and the answer in progress on it."""

    __slots__ = (
        "_at",
        "_base_ns",
        "_incoming",
        "_is_closing",
        "_plan",
        "_read_ns",
        "_reader",
        "_server",
        "_socket",
        "_stamps",
        "_unsent",
        "fd",
    )

    def __init__(self, accepted: socket.socket, server: TruthServer) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kernel_stamps.enable(accepted)
        self._socket, self._server = accepted, server
        self.fd = accepted.fileno()
        self._reader = RequestReader()
        self._plan: _Plan | None = None
        self._incoming = Incoming("", "", "", b"")
        self._base_ns = self._read_ns = 0
        self._is_closing = False
        self._at = 0
        self._stamps: list[int] = []
        self._unsent: deque[tuple[bytes, int]] = deque()

    def read(self) -> None:
        """Take what the client sends; the stamp of a request is the kernel's."""
        if self._is_closing:
            return
        try:
            incoming, arrived_ns = self._reader.read(self._socket, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if incoming is not None:
            self._server.answer(incoming, arrived_ns, self)
        elif self._reader.is_closed:
            self.close()

    def reply(self, content: dict[str, Any], status: bytes = b"200 OK") -> None:
        """A small answer in one piece."""
        body = msgspec.json.encode(content)
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        self._push(head + body, 0)

    def begin(self, incoming: Incoming, read_ns: int, base_ns: int, plan: _Plan) -> None:
        """Answer a request by its plan, timed from `base_ns`."""
        self._incoming, self._read_ns, self._base_ns, self._plan = incoming, read_ns, base_ns, plan
        self._at, self._stamps = 0, []
        self._push(_HEAD, 0)
        self._server.schedule(self._due_ns(plan), self)

    def write_next(self) -> None:
        """The next piece is due."""
        plan = self._plan
        if plan is None:  # the client went away, or the connection was left open for a moment
            if self._is_closing:
                self.close()
            return
        piece = plan.pieces[self._at]
        self._at += 1
        self._push(piece.data, piece.events)
        if self._plan is None:
            return
        if self._at < len(plan.pieces):
            self._server.schedule(self._due_ns(plan), self)
        elif not self._unsent:
            self._finish()

    def write_rest(self) -> None:
        """The socket can be written to again."""
        while self._unsent:
            data, events = self._unsent.popleft()
            if not self._send(data, events):
                return
        self._server.watch(self, writable=False)
        if self._plan is not None and self._at == len(self._plan.pieces):
            self._finish()

    def close(self) -> None:
        """Drop the connection and its answer."""
        self._is_closing = False
        if self._plan is not None:
            self._server.end(self._incoming, self._read_ns, self._stamps, self._plan)
            self._plan = None
        self._server.forget(self)
        self._socket.close()

    def _due_ns(self, plan: _Plan) -> int:
        return self._base_ns + round(plan.pieces[self._at].due_ms * NS_PER_MS)

    def _finish(self) -> None:
        plan = self._plan
        if plan is not None and plan.cut:
            self.close()
        elif plan is not None:
            self._plan = None
            self._server.end(self._incoming, self._read_ns, self._stamps, plan)
            if plan.manner.closes:
                self._is_closing = True
                self._server.schedule(monotonic_ns() + self._server.close_after_ns(), self)

    def _push(self, data: bytes, events: int) -> None:
        if self._unsent:
            self._unsent.append((data, events))
        else:
            self._send(data, events)

    def _send(self, data: bytes, events: int) -> bool:
        """Write bytes. Returns false if the kernel does not take them all."""
        now_ns = monotonic_ns()
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return False
        if sent < len(data):
            self._unsent.appendleft((data[sent:], events))
            self._server.watch(self, writable=True)
            return False
        if events:
            self._stamps += [now_ns] * events
        return True
