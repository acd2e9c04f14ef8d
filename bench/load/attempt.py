"""One request of the load, from what was asked to the line that is kept of it."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import NamedTuple

from bench.answer.events import ChunkError
from bench.answer.judgement import judge_body, judge_stream, judge_stream_end
from bench.answer.whole_answer import WholeAnswer
from bench.answer_limits import EndlessAnswerError
from bench.load.answer_receiver import AnswerReceiver, WholeBody
from bench.load.plan import Start
from bench.outcome import Outcome
from bench.records.moments import Kind, MomentLog
from bench.records.record import OUTCOMES, Record
from bench.target import ConnectionLostError, Deadline, Head, SDKError, refusal


class AttemptFacts(NamedTuple):
    """What is known of a request before it is sent.

    `length` is how many tokens are asked for at most. `asked_tokens` is the same where the answer is to have exactly
    that length, and None where that is left to the model; with `is_exact` another length is a failure. `queued_ns` is
    how long it waited for a slot after its planned start.
    """

    start: Start
    phase: str
    slot: int
    prompt_number: int
    request_id: str
    length: int
    asked_tokens: int | None
    is_exact: bool
    streamed: bool
    queued_ns: int = 0


class Attempt:
    """A request from its start to its record. The wire passes what arrives to `answer`, its receiver.

    Call `conclude` once, when nothing more will arrive. `given_up` is why the bench itself ended the request.
    """

    __slots__ = (
        "_moments",
        "_whole",
        "answer",
        "end_ns",
        "error",
        "facts",
        "given_up",
        "outcome",
        "retry_after_s",
    )

    def __init__(self, facts: AttemptFacts, deadline: Deadline, moments: MomentLog) -> None:
        self.facts = facts
        self.answer = AnswerReceiver(
            facts.start.request, facts.length, streamed=facts.streamed, deadline=deadline, moments=moments
        )
        self._moments = moments
        self._whole: WholeAnswer | None = None
        self.given_up: SDKError | None = None
        self.end_ns = 0
        self.outcome = Outcome.CANCELLED
        self.error: str | None = None
        self.retry_after_s: float | None = None

    @property
    def was_unanswered(self) -> bool:
        """Whether the server accepted no connection, or did not answer on it."""
        if self.outcome is Outcome.TRUNCATED:
            return self.answer.head is None
        return self.outcome in (Outcome.CONNECT, Outcome.TLS, Outcome.TIMEOUT_CONNECT)

    @property
    def was_refused(self) -> bool:
        """Whether it failed without anything useful in the answer, unless one of our time limits ended it."""
        if self.outcome in (Outcome.TIMEOUT_FIRST_BYTE, Outcome.TIMEOUT_STALL, Outcome.TIMEOUT_TOTAL):
            return False
        if self.outcome is Outcome.PROTOCOL or self.answer.is_beyond_limits:
            return True
        return self.outcome.is_failure and self.answer.reading.events == 0 and self._whole is None

    @property
    def free_ns(self) -> int:
        """When the slot was free for its next request."""
        return max(self.end_ns, self.answer.timing.freed_ns)

    def conclude(self, error: BaseException | None) -> None:
        """Settle the outcome: `error` is what broke the exchange, None after a clean end.

        Raises `error` again where it is a fault of the bench.
        """
        answer = self.answer
        answer.catch_up()
        self.end_ns = answer.heard_ns if error is None else monotonic_ns()
        self.outcome, self.error = self._judge(error)
        if error is not None:
            error.__traceback__ = None  # else its frames and their data would stay in memory until the collector runs
        answer.release()
        self._moments.note(self.facts.start.request, Kind.END, self.end_ns, OUTCOMES.index(self.outcome))

    def _judge(self, error: BaseException | None) -> tuple[Outcome, str | None]:
        if isinstance(error, asyncio.CancelledError):
            return (Outcome.CANCELLED, None) if self.given_up is None else refusal(self.given_up)
        if isinstance(error, EndlessAnswerError):
            return Outcome.LENGTH_MISMATCH, str(error)
        if isinstance(error, ChunkError):
            return self._unfit_event(error)
        head = self.answer.head
        cut = error.message if isinstance(error, ConnectionLostError) else None
        if error is not None and (head is None or cut is None):
            if not isinstance(error, SDKError):
                raise error
            return refusal(error)
        assert head is not None  # noqa: S101 - without an error there was an answer
        if self.answer.body is not None:
            return self._judge_body(head, self.answer.body, cut)
        return self._judge_stream(head, cut)

    def _judge_stream(self, head: Head, cut: str | None) -> tuple[Outcome, str | None]:
        answer = self.answer
        if cut is None:
            try:
                answer.end_of_stream()
            except ChunkError as error:
                return self._unfit_event(error)
        answer.reading.drop_empty_usage()
        if answer.reading.error is not None:
            return Outcome.STREAM_ERROR, answer.reading.error
        outcome, message = judge_stream(answer.reading, cut=cut, asked_tokens=self._exact_tokens)
        if outcome is not Outcome.TRUNCATED:
            return outcome, message
        end, is_whole = answer.last_reads()
        unread = head if cut is None and not answer.has_events else None
        return judge_stream_end(message, end, is_whole=is_whole, unread=unread)

    def _unfit_event(self, error: ChunkError) -> tuple[Outcome, str]:
        number = self.answer.reading.events + 1
        return Outcome.PROTOCOL, f"event {number} of the stream is not a completion chunk: {error}"

    def _judge_body(self, head: Head, body: WholeBody, cut: str | None) -> tuple[Outcome, str | None]:
        judged = judge_body(head, body.read(), cut=cut, streamed=self.facts.streamed, asked_tokens=self._exact_tokens)
        self._whole, self.retry_after_s = judged.whole, judged.retry_after_s
        return judged.outcome, judged.message

    @property
    def _exact_tokens(self) -> int | None:
        return self.facts.asked_tokens if self.facts.is_exact else None

    def record(self) -> Record:
        """The line to keep."""
        facts, answer, timing, reading = self.facts, self.answer, self.answer.timing, self.answer.reading
        usage = reading.usage if self._whole is None else self._whole.usage
        details = None if usage is None else usage.prompt_tokens_details
        events = reading.token_events()
        first, last = events.first or (None, 0), events.last or (None, 0)
        return Record(
            request=facts.start.request,
            phase=facts.phase,
            slot=facts.slot,
            query=facts.prompt_number,
            sched_ns=facts.start.sched_ns,
            send_ns=timing.sent_ns,
            send_took_ns=timing.send_took_ns,
            head_ns=timing.head_ns,
            first_ns=first[0],
            first_doubt_ns=first[1],
            visible_ns=reading.visible_ns,
            last_ns=last[0],
            last_doubt_ns=last[1],
            end_ns=self.end_ns,
            free_ns=timing.freed_ns if timing.freed_ns > self.end_ns else None,
            queued_ns=facts.queued_ns,
            waited_ns=timing.waited_ns,
            streamed=facts.streamed,
            opened=timing.opened,
            reopened=timing.reopened,
            status=None if answer.head is None else answer.head.status,
            outcome=self.outcome,
            error=self.error,
            retry_after_s=self.retry_after_s,
            finish_reason=reading.finish_reason if self._whole is None else self._whole.finish_reason,
            request_id=facts.request_id,
            asked_tokens=facts.asked_tokens,
            prompt_tokens=None if usage is None else usage.prompt_tokens,
            completion_tokens=None if usage is None else usage.completion_tokens,
            cached_tokens=None if details is None else details.cached_tokens,
            events=events.events,
            event_tokens=events.tokens,
            first_tokens=events.first_tokens,
            continuous_usage=events.continuous_usage,
            empty=events.empty,
            dropped=events.dropped,
            merged_reads=answer.merged_reads,
        )
