"""The simulated engine: the scheduler's steps, each taking as long as the cost model says, on a clock.

Deadlines are absolute: a late step does not delay the next one. The mean speed is therefore exact, and the lag is
published instead of looking like latency of the model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence as SequenceOf

from mock_server.engine.author.prose import Author
from mock_server.engine.base import Delta, EngineStats, GenerationParams
from mock_server.engine.delta_queue import DeltaQueue
from mock_server.engine.errors import EngineDeadError, EngineError
from mock_server.engine.outbox import Outbox
from mock_server.engine.sim.bundled import DEFAULT_MAX_MODEL_LEN, FEATURES, BundledText, make_info
from mock_server.engine.sim.clock import Clock
from mock_server.engine.sim.cost_model import CostModel
from mock_server.engine.sim.lag import LagMeter
from mock_server.engine.sim.profiles import Profile
from mock_server.engine.sim.scheduler import PrefillChunk, SampledToken, Scheduler, StepPlan
from mock_server.engine.sim.sequence import Sequence
from mock_server.engine.sim.worker import Worker

_STEPS_PER_PASS = 32  # of zero length, before the event loop gets a turn
_LONGEST_PASS_S = 0.005  # for such steps with more than a few sequences, which can be slow
_FEW = 8
_SEQUENCES_A_PART = 64  # of a step: each may take a tenth of a millisecond
_log = logging.getLogger(__name__)


class SimulatedEngine(BundledText):
    """One model on one simulated accelerator."""

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        author: Author,
        *,
        max_model_len: int = DEFAULT_MAX_MODEL_LEN,
        seed: int = 0,
        image_tokens: int | None = None,
    ) -> None:
        """`image_tokens`: how many tokens an image counts as; None: the model reads text only."""
        super().__init__(author.tokenizer)
        self.info = make_info("sim", profile.name, max_model_len, self.tokenizer.vocab_size, FEATURES, image_tokens)
        self._clock = clock
        self._scheduler = Scheduler(profile.max_num_seqs, profile.max_num_batched_tokens)
        self._cost_model = CostModel(profile.costs, seed)
        self._author = author
        self._queues: dict[Sequence, DeltaQueue] = {}
        self._outbox = Outbox()
        self._plain_deltas: dict[int, Delta] = {}  # by far the most common case: a first choice that continues
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._death: EngineDeadError | None = EngineDeadError("the engine has not been started")
        self._lag = LagMeter()
        self._steps = self._requests = self._prompt_tokens = self._generated_tokens = 0

    async def start(self) -> None:
        self._clock.start()
        self._death = None
        self._work = asyncio.Event()
        self._outbox, self.worker = Outbox(), Worker()  # bound to this event loop
        self._task = asyncio.create_task(self._run(), name="simulated engine")

    async def stop(self) -> None:
        self._die(EngineDeadError("the engine was stopped"))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self.worker.stop()
        self._clock.stop()

    def check_health(self) -> None:
        if self._death is not None:
            raise self._death

    def stats(self) -> EngineStats:
        return EngineStats(
            running=self._scheduler.num_running,
            waiting=len(self._scheduler.waiting),
            requests=self._requests,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens,
            steps=self._steps,
            lag_s=self._lag.summary(),
        )

    async def generate(
        self,
        prompt_token_ids: SequenceOf[int],
        params: GenerationParams,
        *,
        request_id: str,
        adapter: str | None = None,
    ) -> DeltaQueue:
        self.check_health()
        self.check_adapter(adapter)
        if not prompt_token_ids:
            raise EngineError("the prompt has no tokens")
        if self._author.takes_long(prompt_token_ids, params):
            texts = await self.worker.run(
                lambda budget: self._author.tokens(prompt_token_ids, params, adapter, budget), params.n
            )
        else:
            texts = self._author.tokens(prompt_token_ids, params, adapter)
        prompt_logprobs = None
        if params.prompt_logprobs is not None:
            prompt_logprobs = await self.prompt_logprobs(self._author, prompt_token_ids, params)
        self.check_health()  # no await from here to the queue: the engine's end would go unnoticed
        sequences = [
            Sequence(len(prompt_token_ids), params, tokens, eos_token_id=self.tokenizer.eos_token_id, choice=choice)
            for choice, tokens in enumerate(texts)
        ]
        queue = DeltaQueue(
            params.n,
            lambda: self._abort(sequences),
            final_only=params.final_only,
            top_logprobs=params.logprobs,
            prompt_logprobs=prompt_logprobs,
            outbox=self._outbox,
        )
        for sequence in sequences:
            self._queues[sequence] = queue
        self._requests += 1
        self._prompt_tokens += len(prompt_token_ids)
        delay_s = self._cost_model.frontend_s()
        if delay_s:
            self._clock.call_at(self._clock.now() + delay_s, lambda: self._admit(sequences, queue))
        else:
            self._admit(sequences, queue)
        return queue

    def _admit(self, sequences: list[Sequence], queue: DeltaQueue) -> None:
        queue.queued_at = time.monotonic()
        for sequence in sequences:
            if not sequence.is_finished:
                self._scheduler.add(sequence)
        self._work.set()

    def _abort(self, sequences: list[Sequence]) -> None:
        for sequence in sequences:
            if self._queues.pop(sequence, None) is not None:
                self._scheduler.abort(sequence)

    async def _run(self) -> None:
        try:
            await self._step_for_ever()
        except Exception as error:
            _log.exception("the step loop failed")
            death = EngineDeadError(f"the simulated engine died: {error!r}")
            self._die(death)
            self.die_by_itself(death)

    async def _step_for_ever(self) -> None:
        clock, scheduler = self._clock, self._scheduler
        deadline = clock.now()
        instant_steps, pass_began = 0, time.monotonic()
        while True:
            plan = scheduler.schedule()
            if plan.is_empty:
                self._work.clear()
                await self._work.wait()
                deadline = clock.now()
                continue
            if plan.prefills:
                self._note_scheduled(plan.prefills)
            step_s = self._cost_model.step_s(plan)
            deadline = deadline + step_s if step_s else clock.now()
            if deadline > clock.now():
                await clock.sleep_until(deadline)
            elif (
                step_s
                or (instant_steps := instant_steps + 1) >= _STEPS_PER_PASS
                or (len(plan.decodes) > _FEW and time.monotonic() - pass_began > _LONGEST_PASS_S)
            ):
                await asyncio.sleep(0)
                instant_steps, pass_began = 0, time.monotonic()
            if step_s:
                self._lag.add(clock.now() - deadline)
            self._steps += 1
            if len(plan.decodes) + len(plan.prefills) <= _SEQUENCES_A_PART:
                self._deliver(scheduler.complete(plan))
            else:
                await self._complete_in_parts(plan)
            if scheduler.failed:
                self._fail(scheduler.take_failed())

    async def _complete_in_parts(self, plan: StepPlan) -> None:
        """Other requests run in between if this is slow. Requests aborted meanwhile are skipped."""
        began = time.monotonic()
        for part in plan.parts(_SEQUENCES_A_PART):
            self._deliver(self._scheduler.complete(part))
            if time.monotonic() - began > _LONGEST_PASS_S:
                await asyncio.sleep(0)
                began = time.monotonic()

    def _note_scheduled(self, prefills: SequenceOf[PrefillChunk]) -> None:
        now = time.monotonic()
        for sequence, _ in prefills:
            if not sequence.num_computed_tokens:
                self._queues[sequence].schedule(sequence.choice, now)

    def _deliver(self, sampled: list[SampledToken]) -> None:
        queues, plain = self._queues, self._plain_deltas
        for sequence, token_id, finish_reason in sampled:
            if finish_reason is not None:
                last = Delta(sequence.choice, (token_id,), finish_reason, sequence.last_logprobs())
                queues.pop(sequence).put(last)
            elif sequence.choice or sequence.weighed is not None:
                queues[sequence].put(Delta(sequence.choice, (token_id,), None, sequence.last_logprobs()))
            else:
                delta = plain.get(token_id)
                if delta is None:
                    delta = plain[token_id] = Delta(0, (token_id,), None)
                queues[sequence].put(delta)
        self._generated_tokens += len(sampled)

    def _fail(self, failed: list[tuple[Sequence, Exception]]) -> None:
        """Fails the requests that these sequences belong to; the others continue."""
        for sequence, error in failed:
            _log.error("a request failed in the step loop", exc_info=error)
            queue = self._queues.get(sequence)
            if queue is not None:
                self._abort([other for other, shared in self._queues.items() if shared is queue])
                queue.fail(EngineError(f"the simulated engine failed ({type(error).__name__}); see the server's log"))

    def _die(self, error: EngineDeadError) -> None:
        self._death = error
        queues, self._queues = self._queues, {}
        for sequence, queue in queues.items():
            self._scheduler.abort(sequence)
            queue.fail(error)
