"""Sends requests when the plan says so: one task and one record for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic_ns

from bench.answer_limits import DEFAULT_DRAIN_TIMEOUT_S, LOOK_S, Drain
from bench.load.attempt import Attempt, AttemptFacts
from bench.load.backoff import Backoff
from bench.load.outage import DEFAULT_GIVE_UP_AFTER_S, Outage
from bench.load.plan import ClosedLoop, OpenLoop, Start
from bench.load.slots import Slots
from bench.load.tally import Tally
from bench.outcome import Outcome
from bench.records.moments import Kind, MomentLog
from bench.records.record import LOAD, WARMUP, Record
from bench.target import Deadline, Request, RequestTimeoutError, Target
from bench.units import NS_PER_S
from bench.wire import Wire
from bench.workload.body import BodyForm
from bench.workload.datasets import Prompt, Workload
from streamgauge.timers import make_alarm

# Warm-up requests open the connections and wake the server; they need no long answers.
WARMUP_TOKENS = 16

# If this many answers, and at least two per stream, all have another length than requested, no answer will have it.
_ENOUGH_WRONG = 20


class Driver:
    """Drives one target. Calls `keep` with each record when its request ends, including cancelled ones.

    It stops sending when no request is answered for `give_up_after_s`, or when `obituary` reports the server's end.
    """

    def __init__(
        self,
        target: Target,
        wire: Wire,
        form: BodyForm,
        workload: Workload,
        keep: Callable[[Record], None],
        moments: MomentLog,
        *,
        run_id: str,
        exact_length: bool,
        give_up_after_s: float = DEFAULT_GIVE_UP_AFTER_S,
        drain_timeout_s: float = DEFAULT_DRAIN_TIMEOUT_S,
        obituary: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.tally = Tally()
        self._target = target
        self._wire = wire
        self._form = form
        self._workload = workload
        self._keep = keep
        self._moments = moments
        self._run_id = run_id
        self._exact_length = exact_length
        self._tasks: set[asyncio.Task[None]] = set()
        self._give_up_after_s = give_up_after_s
        self._drain_timeout_s, self._drain = drain_timeout_s, Drain(drain_timeout_s)
        self._plan: ClosedLoop | OpenLoop | None = None
        self._look: asyncio.TimerHandle | None = None
        self._obituary = obituary
        self._outage = Outage(give_up_after_s)
        self._ended = self._wrong_length = 0
        self._over = asyncio.Event()
        self._fault: BaseException | None = None
        self.gave_up: str | None = None

    async def run(self, plan: ClosedLoop | OpenLoop) -> None:
        """Carry out the plan. Returns when its last request has ended or was cancelled."""
        self._plan = plan
        plan.begin(monotonic_ns())
        if isinstance(plan, ClosedLoop):
            for slot in range(plan.streams):
                self._spawn(self._closed_slot(slot, plan))
        else:
            self._spawn(self._pace(plan))
        while self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        if self._fault is not None:
            raise self._fault

    async def warm_up(self, requests: int, streams: int) -> list[Record]:
        """Send short requests, at most `streams` at the same time. Returns the records of failed requests."""
        numbers = iter(range(2, 2 + requests))

        async def slot(number: int) -> list[Record]:
            return [
                await self.send(Start(-request, monotonic_ns()), number, WARMUP, WARMUP_TOKENS) for request in numbers
            ]

        sent = await asyncio.gather(*(slot(number) for number in range(min(streams, requests))))
        self.tally = Tally()
        return [record for records in sent for record in records if record.outcome is not Outcome.OK]

    async def send(
        self,
        start: Start,
        slot: int,
        phase: str,
        max_tokens: int | None = None,
        prompt: Prompt | None = None,
        *,
        first: bool = False,
    ) -> Record:
        """Send one request and return its record, which is kept first. `prompt` replaces the prompt of its number.

        `first`: sent before the load, to find out which fields the server accepts.
        """
        attempt, request, deadline = self._prepare(start, slot, phase, max_tokens, prompt, first=first)
        try:
            await self._exchange(attempt, request, deadline)
        finally:
            record = attempt.record()
            self._keep(record)
        return record

    def cancel(self) -> None:
        """Cancel the requests in progress; their records are kept as cancelled."""
        for task in self._tasks:
            task.cancel()

    def _watch_drain(self) -> None:
        """After the duration, give up the remaining requests when none of them receives anything any more."""
        self.tally.refresh()
        if self._drain.is_over(self.tally.tokens, len(self.tally.under_way), monotonic_ns()):
            for attempt in self.tally.under_way:
                attempt.given_up = RequestTimeoutError(
                    f"no answer received anything for {self._drain_timeout_s:g} s after the load (--drain-timeout)"
                )
            self.cancel()

    def _look_around(self) -> None:
        """Limit answers that do not end. Runs while any request is in progress."""
        now_ns = monotonic_ns()
        for attempt in self.tally.under_way:
            attempt.answer.look(now_ns)
        plan = self._plan
        # the plan itself may not have noticed its end, if no slot became free
        if plan is not None and plan.begun_ns and now_ns >= plan.until_ns:
            self._watch_drain()
        self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_around) if self.tally.under_way else None

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End the run because of a fault of the bench itself, which must not look like a silent stream."""
        self._fault = self._fault or error
        self.cancel()

    async def _closed_slot(self, slot: int, plan: ClosedLoop) -> None:
        """Send one request after the other."""
        free_ns, last, backoff = plan.begun_ns, None, Backoff(slot)
        try:
            await self._wire.turn()
            while (start := plan.take(free_ns, monotonic_ns())) is not None:
                if plan.stopped_ns is not None:
                    self._over.set()
                if last is not None:
                    asyncio.get_running_loop().call_soon(self._settle, last)  # once the next one is sent
                    last = None
                last = await self._attempt(start, slot, plan)
                if last.was_refused:
                    refused, last = last, None
                    await self._back_off(refused, backoff, plan)
                    free_ns = refused.free_ns
                else:
                    backoff.end()
                    free_ns = last.free_ns
                await self._wire.turn()
        finally:
            if last is not None:
                self._settle(last)

    async def _back_off(self, refused: Attempt, backoff: Backoff, plan: ClosedLoop) -> None:
        """Pause after a refusal. The slot counts as busy during the pause."""
        resume_ns = refused.free_ns + backoff.pause_s(refused.retry_after_s) * NS_PER_S
        refused.answer.timing.freed_ns = round(min(resume_ns, plan.until_ns))
        self._settle(refused)
        while (left_ns := refused.answer.timing.freed_ns - monotonic_ns()) > 0 and not self._over.is_set():
            try:
                async with asyncio.timeout(left_ns / NS_PER_S):
                    await self._over.wait()
            except TimeoutError:
                continue  # timers may be a moment early

    async def _pace(self, plan: OpenLoop) -> None:
        """Start each request when it is due, or as soon after as the plan's limit allows. Ends with the last one."""
        slots = Slots(plan.most)
        over = asyncio.get_running_loop().create_future()

        def on_time() -> None:
            while (start := plan.take(monotonic_ns())) is not None:
                slot = slots.enter(start)
                if slot is not None:
                    self._spawn(self._open_slot(start, slot, plan, slots))
            if plan.due_ns is not None:
                alarm.set(plan.due_ns)
            elif not over.done():
                over.set_result(None)

        alarm = make_alarm(on_time)
        try:
            on_time()
            await over
        finally:
            alarm.close()

    async def _open_slot(self, start: Start, slot: int, plan: OpenLoop, slots: Slots) -> None:
        """Send a request, and then the requests that waited for its slot."""
        following: Start | None = start
        free_ns = start.sched_ns
        while following is not None:
            attempt = await self._attempt(following, slot, plan, queued_ns=max(free_ns - following.sched_ns, 0))
            asyncio.get_running_loop().call_soon(self._settle, attempt)
            free_ns = attempt.free_ns
            following = slots.leave(slot, stop=self.gave_up is not None)

    async def _attempt(self, start: Start, slot: int, plan: ClosedLoop | OpenLoop, queued_ns: int = 0) -> Attempt:
        """Send one request of the load. The caller has to settle it, unless this raises."""
        attempt, request, deadline = self._prepare(start, slot, LOAD, queued_ns=queued_ns)
        try:
            await self._exchange(attempt, request, deadline)
        except BaseException:
            self._settle(attempt)
            raise
        self._ended += 1
        self._wrong_length += attempt.outcome is Outcome.LENGTH_MISMATCH
        if self.gave_up is None and (why := self._why_give_up(attempt, plan.most or 0)) is not None:
            self.gave_up = f"stopped early: {why}"
            plan.stop(attempt.end_ns)
            self._over.set()
        return attempt

    def _why_give_up(self, attempt: Attempt, streams: int) -> str | None:
        """Why no more requests should be sent, now that this one has ended; None while they should."""
        if attempt.outcome is Outcome.CLIENT_LIMIT:
            return attempt.error
        if attempt.was_unanswered:
            if (obituary := self._obituary()) is not None:
                return obituary
            since_ns = self._outage.since_ns or attempt.end_ns
            if self._outage.lasts_too_long(attempt.end_ns):
                self.tally.refresh()
                if not any(other.answer.heard_ns > since_ns for other in self.tally.under_way):
                    return f"no request was answered for {self._give_up_after_s:g} s ({attempt.error})"
                self._outage.end()
            return None
        self._outage.end()
        enough = max(_ENOUGH_WRONG, 2 * streams)
        if self._exact_length and self._wrong_length == self._ended >= enough:
            return f"each of the first {self._ended:,} answers had another length than requested"
        return None

    def _settle(self, attempt: Attempt) -> None:
        """Keep the record of a request of the load. A fault while doing so ends the run."""
        tally = self.tally
        if attempt.outcome is Outcome.OK:
            tally.ok += 1
        elif attempt.outcome is not Outcome.CANCELLED:
            tally.failed += 1
        try:
            record = attempt.record()
            self._keep(record)
        except Exception as error:  # `run` raises it again: no code waits for this callback
            self._fail(error)
            return
        if record.outcome is Outcome.OK and record.first_ns is not None and record.send_ns is not None:
            tally.ttft_ns.append(record.first_ns - record.send_ns)

    def _prepare(
        self,
        start: Start,
        slot: int,
        phase: str,
        max_tokens: int | None = None,
        prompt: Prompt | None = None,
        *,
        first: bool = False,
        queued_ns: int = 0,
    ) -> tuple[Attempt, Request, Deadline]:
        number, prompt = self._workload.prompt(start.request) if prompt is None else (0, prompt)
        is_exact = self._exact_length and max_tokens is None
        length = prompt.output_len if max_tokens is None else min(max_tokens, prompt.output_len)
        deadline = self._target.deadline(first=first)
        facts = AttemptFacts(
            start,
            phase=phase,
            slot=slot,
            prompt_number=number,
            request_id=f"{self._run_id}-{start.request}",
            length=length,
            asked_tokens=length if is_exact or self._form.features.fixed_length else None,
            is_exact=is_exact,
            streamed=self._form.stream,
            queued_ns=queued_ns,
        )
        request = self._target.prompt_request(self._form, prompt, facts.request_id, max_tokens)
        return Attempt(facts, deadline, self._moments), request, deadline

    async def _exchange(self, attempt: Attempt, request: Request, deadline: Deadline) -> None:
        """Send and receive. The attempt holds how it ended, even if this is cancelled."""
        start = attempt.facts.start
        self._moments.note(start.request, Kind.SCHED, start.sched_ns)
        self.tally.under_way.add(attempt)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_around)
        try:
            await self._wire.carry(request, deadline, attempt.answer)
        except BaseException as error:
            attempt.conclude(error)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            attempt.conclude(None)
        finally:
            self.tally.end(attempt)
