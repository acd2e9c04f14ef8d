"""Chooses what the next step computes: continuous batching with chunked prefill, first come first served.

In each step, every running sequence whose prompt is computed gets one token (decode). Chunks of prompts, in the order
in which they began, fill the rest of the token budget. Pure: no clock, no I/O, no randomness.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from mock_server.engine.base import FinishReason
from mock_server.engine.sim.sequence import Sequence, SequenceStatus


class PrefillChunk(NamedTuple):
    sequence: Sequence
    num_tokens: int


class StepPlan(NamedTuple):
    """The work of one step. `num_kv_tokens` is the context that its decodes read."""

    decodes: list[Sequence]
    prefills: list[PrefillChunk]
    num_prefill_tokens: int
    num_kv_tokens: int

    @property
    def is_empty(self) -> bool:
        return not self.decodes and not self.prefills

    @property
    def num_sequences(self) -> int:
        return len(self.decodes) + len(self.prefills)

    def parts(self, size: int) -> Iterator[StepPlan]:
        """The same work as plans of at most `size` sequences. Complete them in this order."""
        for start in range(0, len(self.decodes), size):
            yield StepPlan(self.decodes[start : start + size], [], self.num_prefill_tokens, self.num_kv_tokens)
        for start in range(0, len(self.prefills), size):
            yield StepPlan([], self.prefills[start : start + size], self.num_prefill_tokens, self.num_kv_tokens)


SampledToken = tuple[Sequence, int, FinishReason | None]
"""The sequence, its new token, and the finish reason if that token is the last. (A plain tuple for speed.)"""


class Scheduler:
    """Waiting and running sequences under `max_num_seqs` and `max_num_batched_tokens`."""

    def __init__(self, max_num_seqs: int, max_num_batched_tokens: int) -> None:
        if max_num_seqs < 1:
            raise ValueError(f"max_num_seqs must be at least 1 (got {max_num_seqs})")
        if max_num_batched_tokens < max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens must be at least max_num_seqs, so that each running sequence can decode"
                f" every step (got {max_num_batched_tokens} for {max_num_seqs} sequences)"
            )
        self.max_num_seqs = max_num_seqs
        self.max_num_batched_tokens = max_num_batched_tokens
        # Dictionaries in the order of arrival: a client that leaves may remove thousands.
        self.waiting: OrderedDict[Sequence, None] = OrderedDict()
        self.prefilling: dict[Sequence, None] = {}
        self.decoding: dict[Sequence, None] = {}
        self._num_kv_tokens = 0  # computed tokens of the decoding sequences
        self.failed: list[tuple[Sequence, Exception]] = []
        """Sequences that raised, with what they raised, until `take_failed`."""

    @property
    def num_running(self) -> int:
        return len(self.prefilling) + len(self.decoding)

    def add(self, sequence: Sequence) -> None:
        self.waiting[sequence] = None

    def abort(self, sequence: Sequence) -> None:
        """Removes a sequence immediately. Plans that contain it skip it."""
        if sequence.status is SequenceStatus.WAITING:
            self.waiting.pop(sequence, None)
        elif sequence.status is SequenceStatus.RUNNING:
            self._leave(sequence)
        sequence.status = SequenceStatus.FINISHED

    def schedule(self) -> StepPlan:
        """The plan of the next step. Admits waiting sequences that fit."""
        decodes = list(self.decoding)
        budget = self.max_num_batched_tokens - len(decodes)
        prefills: list[PrefillChunk] = []
        for sequence in self.prefilling:
            if not budget:
                break
            budget -= self._plan_chunk(sequence, budget, prefills)
        while self.waiting and budget and self.num_running < self.max_num_seqs:
            sequence, _ = self.waiting.popitem(last=False)
            sequence.status = SequenceStatus.RUNNING
            self.prefilling[sequence] = None
            budget -= self._plan_chunk(sequence, budget, prefills)
        num_prefill_tokens = self.max_num_batched_tokens - len(decodes) - budget
        return StepPlan(decodes, prefills, num_prefill_tokens, self._num_kv_tokens)

    @staticmethod
    def _plan_chunk(sequence: Sequence, budget: int, prefills: list[PrefillChunk]) -> int:
        num_tokens = min(budget, sequence.num_prefill_tokens_left)
        prefills.append(PrefillChunk(sequence, num_tokens))
        return num_tokens

    def complete(self, plan: StepPlan) -> list[SampledToken]:
        """Marks the step as computed and returns the tokens that it sampled. Aborted sequences are skipped.

        A sequence that raises instead of sampling ends (see `take_failed`); the others continue.
        """
        sampled: list[SampledToken] = []
        running = SequenceStatus.RUNNING
        for sequence in plan.decodes:
            if sequence.status is running:
                sequence.num_computed_tokens += 1
                self._num_kv_tokens += 1
                try:
                    token_id, finish_reason = sequence.sample()
                except Exception as error:
                    self._fail(sequence, error)
                    continue
                sampled.append((sequence, token_id, finish_reason))
                if finish_reason is not None:
                    self._finish(sequence)
        for sequence, num_tokens in plan.prefills:
            if sequence.status is running:
                sequence.num_computed_tokens += num_tokens
                if not sequence.num_prefill_tokens_left:
                    del self.prefilling[sequence]
                    self.decoding[sequence] = None
                    self._num_kv_tokens += sequence.num_computed_tokens
                    try:
                        token_id, finish_reason = sequence.sample()
                    except Exception as error:
                        self._fail(sequence, error)
                        continue
                    sampled.append((sequence, token_id, finish_reason))
                    if finish_reason is not None:
                        self._finish(sequence)
        return sampled

    def take_failed(self) -> list[tuple[Sequence, Exception]]:
        failed, self.failed = self.failed, []
        return failed

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        self._finish(sequence)
        self.failed.append((sequence, error))

    def _finish(self, sequence: Sequence) -> None:
        self._leave(sequence)
        sequence.status = SequenceStatus.FINISHED

    def _leave(self, sequence: Sequence) -> None:
        if sequence in self.decoding:
            del self.decoding[sequence]
            self._num_kv_tokens -= sequence.num_computed_tokens
        else:
            del self.prefilling[sequence]
