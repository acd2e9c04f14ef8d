"""Sends what the plan says and stamps what comes back: one task a stream, one record a request."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic_ns

from bench.body import BodyForm
from bench.events import ChunkError, Reading, token_events
from bench.outcome import Outcome, judge
from bench.plan import ClosedLoop, Start
from bench.record import LOAD, WARMUP, Record
from bench.target import (
    AsyncExchange,
    ConnectionLostError,
    Deadline,
    EventDecoder,
    Request,
    SDKError,
    StatusError,
    Target,
    TypedEvent,
    event_error_message,
    read_body,
    refusal,
    status_failure,
)
from bench.units import NS_PER_MS
from bench.workload import Workload

# Warm-up requests open the connections and wake the server; they need no long answers.
WARMUP_TOKENS = 16

# Most servers write the end of the body after [DONE], in a packet of its own.
_GRACE_S = 1.0

# Connections refused at once would otherwise be tried again thousands of times a second.
_UNREACHABLE = (Outcome.CONNECT, Outcome.TLS)
_HOPELESS = 10


LATEST = 1000


@dataclass(slots=True)
class Tally:
    """What a live view wants to know, counted as it happens; `ttft_ms` are the latest answers'."""

    in_flight: int = 0
    ok: int = 0
    failed: int = 0
    tokens: int = 0
    ttft_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))


@dataclass(slots=True)
class _Attempt:
    """One request under way: filled in step by step, so that whatever ends it finds what there is."""

    start: Start
    slot: int
    query: int
    phase: str
    request_id: str
    asked_tokens: int | None
    reading: Reading = field(default_factory=Reading)
    exchange: AsyncExchange | None = None
    end_ns: int = 0
    outcome: Outcome = Outcome.CANCELLED
    error: str | None = None
    retry_after_s: float | None = None

    def record(self) -> Record:
        exchange, reading, usage = self.exchange, self.reading, self.reading.usage
        send_ns = None if exchange is None else exchange.sent_ns
        base_ns = send_ns or 0
        details = None if usage is None else usage.prompt_tokens_details
        events = token_events(reading)
        return Record(
            request=self.start.request,
            phase=self.phase,
            slot=self.slot,
            query=self.query,
            sched_ns=self.start.sched_ns,
            send_ns=send_ns,
            head_ns=None if exchange is None else exchange.head_ns,
            end_ns=self.end_ns,
            opened=exchange is not None and exchange.opened_connection,
            status=None if exchange is None else exchange.head.status,
            outcome=self.outcome,
            error=self.error,
            retry_after_s=self.retry_after_s,
            finish_reason=reading.finish_reason,
            request_id=self.request_id,
            asked_tokens=self.asked_tokens,
            prompt_tokens=None if usage is None else usage.prompt_tokens,
            completion_tokens=reading.completion_tokens,
            cached_tokens=None if details is None else details.cached_tokens,
            events_ns=[arrived_ns - base_ns for arrived_ns in events.arrived_ns],
            tokens=events.tokens,
            continuous_usage=events.continuous_usage,
            visible=events.visible,
            empty=events.empty,
        )


class Driver:
    """Drives one target. `keep` is given each record as its request ends, cancelled ones included."""

    def __init__(
        self,
        target: Target,
        form: BodyForm,
        workload: Workload,
        keep: Callable[[Record], None],
        *,
        run_id: str,
        exact_length: bool,
    ) -> None:
        self.tally = Tally()
        self._target = target
        self._form = form
        self._workload = workload
        self._keep = keep
        self._run_id = run_id
        self._exact_length = exact_length
        self._slots: list[asyncio.Task[None]] = []
        self._unreachable = 0
        self._fault: Exception | None = None
        self.gave_up: str | None = None

    async def run(self, plan: ClosedLoop) -> None:
        """Carry out the plan and return when its last request has ended, or was cancelled."""
        plan.begin(monotonic_ns())
        self._slots = [asyncio.create_task(self._slot(slot, plan)) for slot in range(plan.streams)]
        await asyncio.wait(self._slots, return_when=asyncio.FIRST_EXCEPTION)
        self.cancel()  # those left, when a fault of the bench itself ended one: it must not look like a quiet stream
        await asyncio.wait(self._slots)
        faults = [self._fault, *(task.exception() for task in self._slots if not task.cancelled())]
        for fault in filter(None, faults):
            raise fault

    async def warm_up(self, requests: int, streams: int) -> list[Record]:
        """Send so many short requests, at most `streams` at once; returns those that failed."""
        numbers = iter(range(2, 2 + requests))

        async def slot(number: int) -> list[Record]:
            return [
                await self.send(Start(-request, monotonic_ns()), number, WARMUP, WARMUP_TOKENS) for request in numbers
            ]

        sent = await asyncio.gather(*(slot(number) for number in range(min(streams, requests))))
        self.tally = Tally()
        return [record for records in sent for record in records if record.outcome is not Outcome.OK]

    def cancel(self) -> None:
        """Give up the requests under way; their records are kept as cancelled."""
        for task in self._slots:
            task.cancel()

    async def _slot(self, slot: int, plan: ClosedLoop) -> None:
        """Send one request after the other. What is to be kept of one is kept when the next is on its way."""
        loop = asyncio.get_running_loop()
        free_ns = plan.begun_ns
        while (start := plan.take(free_ns, monotonic_ns())) is not None:
            attempt, request = self._prepare(start, slot, LOAD)
            try:
                await self._carry_out(attempt, request)
            finally:
                loop.call_soon(self._settle, attempt)
            free_ns = attempt.end_ns
            if attempt.outcome not in _UNREACHABLE:
                self._unreachable = 0
                continue
            self._unreachable += 1
            if self._unreachable >= max(_HOPELESS, plan.streams) and self.gave_up is None:
                self.gave_up = f"stopped early: {self._unreachable} requests in a row found nobody there"
                plan.stop(free_ns)

    async def send(self, start: Start, slot: int, phase: str, max_tokens: int | None = None) -> Record:
        """One request from its start to its record, which is kept before it is returned."""
        attempt, request = self._prepare(start, slot, phase, max_tokens)
        try:
            await self._carry_out(attempt, request)
        finally:
            record = attempt.record()
            self._keep(record)
        return record

    def _settle(self, attempt: _Attempt) -> None:
        """Keep the record of a request of the load; a fault in that ends the run."""
        tally = self.tally
        if attempt.outcome is Outcome.OK:
            tally.ok += 1
        elif attempt.outcome is not Outcome.CANCELLED:
            tally.failed += 1
        try:
            record = attempt.record()
            self._keep(record)
        except Exception as fault:  # raised again by `run`: nobody waits for this callback
            self._fault = fault
            self.cancel()
            return
        if record.outcome is Outcome.OK:
            tally.ttft_ms.append(record.events_ns[0] / NS_PER_MS)

    def _prepare(self, start: Start, slot: int, phase: str, max_tokens: int | None = None) -> tuple[_Attempt, Request]:
        number, query = self._workload.query(start.request)
        asked = query.output_len if self._exact_length and max_tokens is None else None
        request_id = f"{self._run_id}-{start.request}"
        attempt = _Attempt(start, slot, number, phase, request_id, asked)
        return attempt, self._target.prompt_request(self._form, query, request_id, max_tokens)

    async def _carry_out(self, attempt: _Attempt, request: Request) -> None:
        """Send and receive; how it ended is in the attempt, also when this is cancelled."""
        self.tally.in_flight += 1
        try:
            deadline = self._target.deadline()
            attempt.exchange = await self._target.send(request, deadline)
            attempt.outcome, attempt.error = await self._receive(attempt, attempt.exchange, deadline)
        except SDKError as failure:
            attempt.outcome, attempt.error = refusal(failure)
        finally:
            self.tally.in_flight -= 1
            attempt.end_ns = attempt.end_ns or monotonic_ns()
            if attempt.exchange is not None:
                attempt.exchange.close()

    async def _receive(
        self, attempt: _Attempt, exchange: AsyncExchange, deadline: Deadline
    ) -> tuple[Outcome, str | None]:
        head = exchange.head
        if head.status >= 400:
            failure: StatusError = status_failure(head, await read_body(exchange))
            attempt.retry_after_s = failure.retry_after_s
            return refusal(failure)
        if not head.is_stream:
            said = head.media_type or "no content type"
            return Outcome.PROTOCOL, f"a stream was asked for, the server answered HTTP {head.status} with {said}"
        try:
            cut = await self._read_events(attempt, exchange, deadline)
        except ChunkError as error:
            return Outcome.PROTOCOL, f"event {len(attempt.reading.events_ns) + 1} of the stream is no chunk: {error}"
        if attempt.reading.error is not None:
            return Outcome.STREAM_ERROR, event_error_message(attempt.reading.error)
        return judge(attempt.reading, cut=cut, asked_tokens=attempt.asked_tokens)

    async def _read_events(self, attempt: _Attempt, exchange: AsyncExchange, deadline: Deadline) -> str | None:
        """Read the stream to its end; what is returned says how the connection broke, None after a clean end."""
        reading, tally, decoder = attempt.reading, self.tally, EventDecoder()
        watches_stalls = self._target.watches_stalls
        while reading.done_ns is None:
            try:
                block = await exchange.read()
            except ConnectionLostError as error:
                return error.message
            if block is None:
                payloads = decoder.feed_eof()
            else:
                attempt.end_ns = block.arrived_ns
                payloads = decoder.feed(block.data)
            for payload in payloads:
                if type(payload) is TypedEvent and payload.event == "error":
                    reading.take_error(payload)
                elif tokens := reading.take(payload, attempt.end_ns):
                    tally.tokens += tokens
                    if watches_stalls:
                        deadline.progress(attempt.end_ns)
            if block is None:
                return None
        await _end_of_body(exchange)
        return None


async def _end_of_body(exchange: AsyncExchange) -> None:
    """Read past [DONE], so that the connection is free for this slot's next request.

    Without an end in time it is dropped: the answer was complete all the same.
    """
    with contextlib.suppress(TimeoutError, ConnectionLostError):
        async with asyncio.timeout(_GRACE_S):
            while await exchange.read() is not None:
                pass
