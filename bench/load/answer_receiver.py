"""Receives one answer as it arrives: its head, its events or its body, and the limits of how much is read."""

from __future__ import annotations

from collections import deque

from bench.answer.chunk_shape import PIECE_END, ChunkShape
from bench.answer.events import Reading
from bench.answer.server_message import encoding_of
from bench.answer_limits import (
    EXCESS_S,
    MOST_ERROR_BYTES,
    MOST_EVENT_BYTES,
    EndlessAnswerError,
    most_bytes,
    most_events,
)
from bench.records.moments import Kind, MomentLog
from bench.target import Deadline, EventDecoder, Head, ProtocolError, TypedEvent
from bench.units import NS_PER_S
from bench.wire.base import Source
from bench.wire.timing import Timing

_END_READS = 8
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")


class WholeBody:
    """The body of an answer that is not a stream."""

    __slots__ = ("_blocks", "_is_error", "_most_bytes", "_size")

    def __init__(self, most_bytes: int, *, is_error: bool) -> None:
        self._blocks: list[bytes] = []
        self._size = 0
        self._most_bytes = MOST_ERROR_BYTES if is_error else most_bytes
        self._is_error = is_error

    def take(self, block: bytes) -> bool:
        """Keep a part of it. Returns true when enough of an error has arrived. Raises ProtocolError."""
        self._size += len(block)
        if self._size <= self._most_bytes:
            self._blocks.append(block)
            return False
        if self._is_error:
            return True
        raise ProtocolError(f"the answer is over {self._most_bytes:,} bytes, too many for what was asked for")

    def read(self) -> bytes:
        """All of it."""
        return b"".join(self._blocks)


class AnswerReceiver:
    """A `PieceReceiver` for one answer. `body` is set where the answer is not a stream; else `reading` has its events.

    `length` is how many tokens were asked for at most, which bounds how much of the answer is read.
    """

    __slots__ = (
        "_beyond_ns",
        "_deadline",
        "_decoder",
        "_end",
        "_ended_with_event",
        "_length",
        "_merged_ns",
        "_moments",
        "_most_bytes",
        "_most_events",
        "_new_tokens",
        "_request",
        "_stream_bytes",
        "_streamed",
        "body",
        "has_events",
        "head",
        "merged_reads",
        "reading",
        "timing",
    )

    def __init__(self, request: int, length: int, *, streamed: bool, deadline: Deadline, moments: MomentLog) -> None:
        self._request, self._length, self._streamed = request, length, streamed
        self._deadline, self._moments = deadline, moments
        self.timing = Timing()
        self.reading = Reading(request, moments.rows)
        self.head: Head | None = None
        self.body: WholeBody | None = None
        self._decoder = EventDecoder(MOST_EVENT_BYTES)
        self._stream_bytes = 0  # plain chunks not counted
        self._most_events, self._most_bytes = most_events(length), most_bytes(length)
        self._beyond_ns = 0  # when more events than tokens were seen first
        self._new_tokens = 0  # not counted by `take_tokens` yet
        self.merged_reads = self._merged_ns = 0
        self._ended_with_event = self.has_events = False
        self._end: deque[bytes] = deque(maxlen=_END_READS)  # the last reads, for what they hold beside events

    # what the wire reports

    def sent(self, now_ns: int, took_ns: int) -> None:
        """The last byte of the request was handed to the kernel."""
        self.timing.sent_ns, self.timing.send_took_ns = now_ns, took_ns
        self._moments.note(self._request, Kind.SEND, now_ns)

    def begin(self, head: Head, arrived_ns: int) -> None:
        """The header block is complete."""
        self.head = head
        self.timing.mark_head(arrived_ns)
        self._moments.note(self._request, Kind.HEAD, arrived_ns)
        if not self._streamed or head.status >= 400 or not head.is_stream or encoding_of(head):
            self.body = WholeBody(self._most_bytes, is_error=head.status >= 400)

    def take(self, block: bytes, arrived_ns: int, source: Source) -> bool:
        """Body bytes of one read. Returns true after `[DONE]`. Raises ProtocolError or ChunkError."""
        self.timing.read_ns = arrived_ns
        if self.body is not None:
            return self.body.take(block)
        reading = self.reading
        self._stream_bytes += len(block)
        if self._stream_bytes > self._most_bytes:
            if reading.done_ns is not None:
                return True  # the answer has ended, whatever follows
            raise ProtocolError(f"the answer did not end: its stream is over {self._most_bytes:,} bytes")
        self._end.append(block)
        payloads = self._decoder.feed(block)
        if not payloads:
            return False
        self.has_events = True
        self._new_tokens += reading.add_plain()
        last_is_sure = source.is_sure and block.endswith(_BLANK_LINES)
        doubt_ns = 0 if last_is_sure and len(payloads) == 1 else source.doubt_ns()
        before = reading.events
        for payload in payloads[:-1]:
            self._account(payload, arrived_ns, doubt_ns)
        between = reading.events
        self._account(payloads[-1], arrived_ns, 0 if last_is_sure else doubt_ns)
        self._ended_with_event = reading.events > between
        if doubt_ns and reading.events > before + 1:
            self._note_merged(arrived_ns)
        if reading.events > self._most_events:
            raise EndlessAnswerError(reading.events, self._length)
        return reading.done_ns is not None

    def learn_shape(self, data: bytes) -> ChunkShape | None:
        """The shape of the last piece of a read that held nothing but whole HTTP chunks."""
        if not self._ended_with_event:
            return None
        self._ended_with_event = False
        begin = data.rfind(PIECE_END, 0, -1) + len(PIECE_END)
        return self.reading.learn_shape(data[begin:] if begin >= len(PIECE_END) else data)

    def took_plain(self, arrived_ns: int, doubt_ns: int) -> None:
        """Several chunks of one read had the shape that `learn_shape` gave."""
        if doubt_ns:
            self._note_merged(arrived_ns)

    def catch_up(self) -> None:
        """Account for the plain chunks taken since, so that the time limits know of them."""
        self._new_tokens += self.reading.add_plain()
        if self.reading.last_ns is not None:
            self._deadline.progress(self.reading.last_ns)

    def _note_merged(self, arrived_ns: int) -> None:
        self.merged_reads += self._merged_ns != arrived_ns
        self._merged_ns = arrived_ns

    def _account(self, payload: bytes, arrived_ns: int, doubt_ns: int) -> None:
        if type(payload) is TypedEvent and payload.event == "error":
            self.reading.take_error(payload)
        elif tokens := self.reading.take(payload, arrived_ns, doubt_ns):
            self._new_tokens += tokens
            self._deadline.progress(arrived_ns)

    # what the load needs

    def take_tokens(self) -> int:
        """How many tokens have arrived since the last call."""
        self.catch_up()
        tokens, self._new_tokens = self._new_tokens, 0
        return tokens

    def look(self, now_ns: int) -> None:
        """Check the length of the answer. One that goes beyond the limits ends with its next event."""
        events = self.reading.events + self.reading.plain_events
        if events <= self._length:
            return
        self._beyond_ns = self._beyond_ns or now_ns
        if events > self._most_events or now_ns - self._beyond_ns > EXCESS_S * NS_PER_S:
            self._most_events = 0
            self.reading.stop_plain()

    @property
    def is_beyond_limits(self) -> bool:
        """Whether it was given up because it had more events than allowed."""
        return self.reading.events > self._most_events

    @property
    def heard_ns(self) -> int:
        """When anything last arrived from the server, as of the last `catch_up`."""
        return max(self.timing.read_ns, self.reading.last_ns or 0)

    def end_of_stream(self) -> None:
        """Account for an event whose blank line is missing at the end of the stream. Raises ChunkError."""
        for payload in self._decoder.feed_eof():
            self._account(payload, self.timing.read_ns, 0)

    def last_reads(self) -> tuple[bytes, bool]:
        """The bytes of the last reads of a stream, and whether those were all."""
        return b"".join(self._end), len(self._end) < _END_READS

    def release(self) -> None:
        """Drop all bytes: only figures are needed from now on."""
        self.body = None
        self._end.clear()
        self._decoder = EventDecoder()
