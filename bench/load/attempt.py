"""One request under way: filled in as the answer arrives, so that whatever ends it finds what there is."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from time import monotonic_ns

from bench.answer.chunk_shape import PIECE_END, ChunkShape
from bench.answer.events import ChunkError, Reading
from bench.answer.judgement import judge_stream, judge_whole
from bench.answer.server_message import encoding_of, error_of, stray_text, text_of, unfit_answer
from bench.answer.whole_answer import WholeAnswer, read_whole
from bench.answer_limits import (
    EXCESS_S,
    MOST_ERROR_BYTES,
    MOST_EVENT_BYTES,
    EndlessAnswerError,
    most_bytes,
    most_events,
)
from bench.load.plan import Start
from bench.outcome import Outcome
from bench.records.moments import Kind, MomentLog
from bench.records.record import OUTCOMES, Record
from bench.target import (
    ConnectionLostError,
    Deadline,
    EventDecoder,
    Head,
    ProtocolError,
    SDKError,
    TypedEvent,
    refusal,
    status_failure,
)
from bench.units import NS_PER_S
from bench.wire.base import Source

LATEST = 1000
_END_READS = 8
_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")


@dataclass(slots=True)
class Tally:
    """What a live view wants to know; `ttft_ns` are the latest answers', `tokens` those up to the last `refresh`."""

    under_way: set[Attempt] = field(default_factory=set)
    ok: int = 0
    failed: int = 0
    tokens: int = 0
    ttft_ns: deque[int] = field(default_factory=lambda: deque(maxlen=LATEST))

    def refresh(self) -> None:
        """Bring `tokens` up to date."""
        for attempt in self.under_way:
            attempt.catch_up()


class Attempt:
    """A `Receiver` that accounts for one answer. `conclude` is to be called once, when nothing more will come."""

    __slots__ = (
        "_asked_tokens",
        "_beyond_ns",
        "_body",
        "_body_bytes",
        "_deadline",
        "_decoder",
        "_end",
        "_ended_with_event",
        "_exact_tokens",
        "_has_events",
        "_head",
        "_head_ns",
        "_length",
        "_merged",
        "_merged_ns",
        "_moments",
        "_most_bytes",
        "_most_events",
        "_read_ns",
        "_streamed",
        "_tally",
        "_whole",
        "end_ns",
        "error",
        "freed_ns",
        "given_up",
        "opened",
        "outcome",
        "phase",
        "prompt_number",
        "queued_ns",
        "reading",
        "reopened",
        "request_id",
        "retry_after_s",
        "send_took_ns",
        "sent_ns",
        "slot",
        "start",
        "waited_ns",
    )

    def __init__(
        self,
        start: Start,
        *,
        phase: str,
        slot: int,
        prompt_number: int,
        request_id: str,
        length: int,
        asked_tokens: int | None,
        is_exact: bool,
        streamed: bool,
        deadline: Deadline,
        moments: MomentLog,
        tally: Tally,
    ) -> None:
        self.start, self.phase, self.slot = start, phase, slot
        self.prompt_number, self.request_id = prompt_number, request_id
        self._asked_tokens, self._streamed, self._deadline = asked_tokens, streamed, deadline
        self._exact_tokens = asked_tokens if is_exact else None
        self._moments, self._tally = moments, tally
        self.reading = Reading(start.request, moments.rows)
        self._decoder = EventDecoder(MOST_EVENT_BYTES)
        self._length = length  # tokens that were asked for at most
        self._most_events, self._most_bytes = most_events(length), most_bytes(length)
        self._beyond_ns = 0  # when more than that were seen first
        self.given_up: SDKError | None = None  # why the bench itself ended it
        self._head: Head | None = None
        self._head_ns: int | None = None
        self._body: list[bytes] | None = None  # of an answer that is no stream
        self._body_bytes = 0  # of a stream too, plain chunks not counted
        self._whole: WholeAnswer | None = None
        self._read_ns = 0
        self._merged = self._merged_ns = 0
        self._ended_with_event = False
        self._has_events = False
        self._end: deque[bytes] = deque(maxlen=_END_READS)  # of a stream, for what it says beside its events
        self.sent_ns: int | None = None
        self.send_took_ns = 0
        self.opened = self.reopened = False
        self.queued_ns = self.waited_ns = self.freed_ns = self.end_ns = 0
        self.outcome = Outcome.CANCELLED
        self.error: str | None = None
        self.retry_after_s: float | None = None

    # what the wire tells

    def sent(self, now_ns: int, took_ns: int) -> None:
        """The last byte of the request was handed to the kernel."""
        self.sent_ns, self.send_took_ns = now_ns, took_ns
        self._moments.note(self.start.request, Kind.SEND, now_ns)

    def begin(self, head: Head, arrived_ns: int) -> None:
        """The header block is complete."""
        self._head, self._head_ns, self._read_ns = head, arrived_ns, arrived_ns
        if self.sent_ns is not None and arrived_ns < self.sent_ns:  # while the send had not returned yet
            late_ns = min(self.sent_ns - arrived_ns, self.send_took_ns)
            self.sent_ns, self.send_took_ns = self.sent_ns - late_ns, self.send_took_ns - late_ns
        self._moments.note(self.start.request, Kind.HEAD, arrived_ns)
        if not self._streamed or head.status >= 400 or not head.is_stream or encoding_of(head):
            self._body = []
            if head.status >= 400:
                self._most_bytes = MOST_ERROR_BYTES

    def take(self, block: bytes, arrived_ns: int, source: Source) -> bool:
        """Body bytes of one read; true after `[DONE]`. Raises ProtocolError or ChunkError."""
        self._read_ns = arrived_ns
        self._body_bytes += len(block)
        if self._body is not None:
            return self._keep(self._body, block)
        if self._body_bytes > self._most_bytes:
            if self.reading.done_ns is not None:
                return True  # it has ended, whatever follows
            raise ProtocolError(f"the answer did not end: its stream is over {self._most_bytes:,} bytes")
        self._end.append(block)
        payloads = self._decoder.feed(block)
        if not payloads:
            return False
        self._has_events = True
        self._tally.tokens += self.reading.add_plain()
        last_is_sure = source.is_sure and block.endswith(_BLANK_LINES)
        doubt_ns = 0 if last_is_sure and len(payloads) == 1 else source.doubt_ns()
        before = self.reading.events
        for payload in payloads[:-1]:
            self._account(payload, arrived_ns, doubt_ns)
        between = self.reading.events
        self._account(payloads[-1], arrived_ns, 0 if last_is_sure else doubt_ns)
        self._ended_with_event = self.reading.events > between
        if doubt_ns and self.reading.events > before + 1:
            self._note_merged(arrived_ns)
        if self.reading.events > self._most_events:
            raise EndlessAnswerError(self.reading.events, self._length)
        return self.reading.done_ns is not None

    def learn_shape(self, data: bytes) -> ChunkShape | None:
        """What takes pieces like the last one of a read, which was nothing but whole HTTP chunks."""
        if not self._ended_with_event:
            return None
        self._ended_with_event = False
        begin = data.rfind(PIECE_END, 0, -1) + len(PIECE_END)
        return self.reading.learn_shape(data[begin:] if begin >= len(PIECE_END) else data)

    def catch_up(self) -> None:
        """Account for what was taken as plain, so that the time limits know of it."""
        self._tally.tokens += self.reading.add_plain()
        if self.reading.last_ns is not None:
            self._deadline.progress(self.reading.last_ns)

    def look(self, now_ns: int) -> None:
        """See how far it has come; what goes beyond the limits ends with its next event."""
        plain = self.reading.plain_events
        if self.reading.events + plain <= self._length:
            return
        self._beyond_ns = self._beyond_ns or now_ns
        if self.reading.events + plain > self._most_events or now_ns - self._beyond_ns > EXCESS_S * NS_PER_S:
            self._most_events = 0
            self.reading.stop_plain()

    def took_plain(self, arrived_ns: int, doubt_ns: int) -> None:
        """Some were taken by what `learn_shape` gave, all in one read."""
        if doubt_ns:
            self._note_merged(arrived_ns)

    def _note_merged(self, arrived_ns: int) -> None:
        self._merged += self._merged_ns != arrived_ns
        self._merged_ns = arrived_ns

    def _account(self, payload: bytes, arrived_ns: int, doubt_ns: int) -> None:
        if type(payload) is TypedEvent and payload.event == "error":
            self.reading.take_error(payload)
        elif tokens := self.reading.take(payload, arrived_ns, doubt_ns):
            self._tally.tokens += tokens
            self._deadline.progress(arrived_ns)

    def _keep(self, body: list[bytes], block: bytes) -> bool:
        """Keep a part of the body; true when there is as much of an error as can be of use."""
        if self._body_bytes <= self._most_bytes:
            body.append(block)
            return False
        if self._head is not None and self._head.status >= 400:
            return True
        raise ProtocolError(f"the answer is over {self._most_bytes:,} bytes, too many for what was asked for")

    # how it ended

    @property
    def was_unanswered(self) -> bool:
        """Whether nobody was there, or nobody who said a word."""
        if self.outcome is Outcome.TRUNCATED:
            return self._head is None
        return self.outcome in (Outcome.CONNECT, Outcome.TLS, Outcome.TIMEOUT_CONNECT)

    @property
    def was_refused(self) -> bool:
        """Whether it failed without having brought anything of use, other than by a limit of ours that passed."""
        if self.outcome in (Outcome.TIMEOUT_FIRST_BYTE, Outcome.TIMEOUT_STALL, Outcome.TIMEOUT_TOTAL):
            return False
        if self.outcome is Outcome.PROTOCOL or self.reading.events > self._most_events:
            return True
        return self.outcome.is_failure and self.reading.events == 0 and self._whole is None

    @property
    def heard_ns(self) -> int:
        """When the server was last heard of, as of the last `Tally.refresh`."""
        return max(self._read_ns, self.reading.last_ns or 0)

    @property
    def free_ns(self) -> int:
        """When the slot was free for its next request."""
        return max(self.end_ns, self.freed_ns)

    def conclude(self, error: BaseException | None) -> None:
        """Settle the outcome: `error` is what broke the exchange, None after a clean end. Raises what is no such."""
        self._tally.tokens += self.reading.add_plain()
        self.end_ns = monotonic_ns() if error is not None else max(self._read_ns, self.reading.last_ns or 0)
        self.outcome, self.error = self._verdict(error)
        if error is not None:
            error.__traceback__ = None  # its frames and what they read would live until the collector comes
            self._decoder = EventDecoder()
        self._body, self._end = None, deque()
        self._moments.note(self.start.request, Kind.END, self.end_ns, OUTCOMES.index(self.outcome))

    def _verdict(self, error: BaseException | None) -> tuple[Outcome, str | None]:
        if isinstance(error, asyncio.CancelledError):
            return (Outcome.CANCELLED, None) if self.given_up is None else refusal(self.given_up)
        if isinstance(error, EndlessAnswerError):
            return Outcome.LENGTH_MISMATCH, str(error)
        if isinstance(error, ChunkError):
            return Outcome.PROTOCOL, self._unfit_event(error)
        head = self._head
        cut = error.message if isinstance(error, ConnectionLostError) else None
        if error is not None and (head is None or cut is None):
            if not isinstance(error, SDKError):
                raise error
            return refusal(error)
        assert head is not None  # noqa: S101 - without an error there was an answer
        if self._body is not None:
            return self._judge_body(head, b"".join(self._body), cut)
        return self._judge_stream(cut)

    def _judge_stream(self, cut: str | None) -> tuple[Outcome, str | None]:
        reading = self.reading
        if cut is None:
            for payload in self._decoder.feed_eof():
                try:
                    self._account(payload, self._read_ns, 0)
                except ChunkError as error:
                    return Outcome.PROTOCOL, self._unfit_event(error)
        reading.drop_empty_usage()
        if reading.error is not None:
            return Outcome.STREAM_ERROR, reading.error
        outcome, said = judge_stream(reading, cut=cut, asked_tokens=self._exact_tokens)
        if outcome is Outcome.TRUNCATED:
            return self._judge_end(said, cut)
        return outcome, said

    def _unfit_event(self, error: ChunkError) -> str:
        return f"event {self.reading.events + 1} of the stream is not a completion chunk: {error}"

    def _judge_end(self, said: str | None, cut: str | None) -> tuple[Outcome, str | None]:
        """What to make of a stream that stopped early: its last bytes may say why, though not as an event."""
        end, is_whole = b"".join(self._end), len(self._end) < _END_READS
        error, stray = stray_text(end, is_whole=is_whole)
        if error is not None:
            return Outcome.STREAM_ERROR, f"error in the stream, sent without `data:`: {error}"
        if cut is None and not self._has_events and self._head is not None:
            return unfit_answer(self._head, end, streamed=True)
        return Outcome.TRUNCATED, f"{said}; beside its events the server sent: {stray}" if stray else said

    def _judge_body(self, head: Head, body: bytes, cut: str | None) -> tuple[Outcome, str | None]:
        if head.status >= 400:
            failure = status_failure(head, body)
            self.retry_after_s = failure.retry_after_s
            outcome, said = refusal(failure)
            return outcome, said if failure.server_message else f"HTTP {head.status}: {text_of(body)}"
        if encoding := encoding_of(head):
            return Outcome.PROTOCOL, f"the answer is encoded as {encoding!r}, which the request did not ask for"
        if cut is not None:
            return Outcome.TRUNCATED, cut
        if self._streamed or head.status >= 300 or not body.strip() or error_of(body) is not None:
            return unfit_answer(head, body, streamed=self._streamed)
        try:
            self._whole = read_whole(body)
        except ChunkError:
            return unfit_answer(head, body, streamed=False)
        return judge_whole(self._whole, asked_tokens=self._exact_tokens)

    def record(self) -> Record:
        """The line to keep."""
        usage = self.reading.usage if self._whole is None else self._whole.usage
        details = None if usage is None else usage.prompt_tokens_details
        events = self.reading.token_events()
        first, last = events.first or (None, 0), events.last or (None, 0)
        return Record(
            request=self.start.request,
            phase=self.phase,
            slot=self.slot,
            query=self.prompt_number,
            sched_ns=self.start.sched_ns,
            send_ns=self.sent_ns,
            send_took_ns=self.send_took_ns,
            head_ns=self._head_ns,
            first_ns=first[0],
            first_doubt_ns=first[1],
            visible_ns=self.reading.visible_ns,
            last_ns=last[0],
            last_doubt_ns=last[1],
            end_ns=self.end_ns,
            free_ns=self.freed_ns if self.freed_ns > self.end_ns else None,
            queued_ns=self.queued_ns,
            waited_ns=self.waited_ns,
            streamed=self._streamed,
            opened=self.opened,
            reopened=self.reopened,
            status=None if self._head is None else self._head.status,
            outcome=self.outcome,
            error=self.error,
            retry_after_s=self.retry_after_s,
            finish_reason=self.reading.finish_reason if self._whole is None else self._whole.finish_reason,
            request_id=self.request_id,
            asked_tokens=self._asked_tokens,
            prompt_tokens=None if usage is None else usage.prompt_tokens,
            completion_tokens=None if usage is None else usage.completion_tokens,
            cached_tokens=None if details is None else details.cached_tokens,
            events=events.events,
            event_tokens=events.tokens,
            first_tokens=events.first_tokens,
            continuous_usage=events.continuous_usage,
            empty=events.empty,
            dropped=events.dropped,
            merged_reads=self._merged,
        )
