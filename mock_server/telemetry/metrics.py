"""The server's counts of its requests, under vLLM's names. Each request is counted once, however it ends.

These are plain numbers for use in one event loop; `exposition` writes them for Prometheus.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from mock_server.answer.choice_delta import ChoiceDelta
from mock_server.answer.generation import Generation
from mock_server.engine.base import Scheduled

_INTERVALS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
)  # fmt: skip
_FIRST_TOKEN_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
)  # fmt: skip
_REQUEST_S = (
    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
)  # fmt: skip
_TOKENS = tuple(step * 10**power for power in range(6) for step in (1, 2, 5))
_CHOICES = (1, 2, 5, 10, 20)


class Histogram:
    """Counts of values up to each upper bound; the last count is for values above all bounds."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(map(float, bounds))  # floats are quicker to compare with floats than integers are
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times


class ServerMetrics:
    """The counts of one server since it started. Times are in seconds."""

    def __init__(self) -> None:
        self.prompt_tokens = 0
        """Tokens of prompts that the engine has read: their first token has been generated."""
        self.generation_tokens = 0
        self.finished: Counter[str] = Counter()
        """Choices by how they ended: stop, length, abort (the client disconnected), error."""
        self.rejections: Counter[str] = Counter()
        """Requests that were not admitted, by the code of the error."""
        self.responses: Counter[tuple[str, str, int]] = Counter()
        """Responses by method, path and status; 499: the client disconnected first."""
        self.time_to_first_token_s = Histogram(_FIRST_TOKEN_S)
        self.inter_token_latency_s = Histogram(_INTERVALS_S)
        self.time_per_output_token_s = Histogram(_INTERVALS_S)
        self.e2e_latency_s = Histogram(_REQUEST_S)
        self.queue_time_s = Histogram(_REQUEST_S)
        self.prefill_time_s = Histogram(_REQUEST_S)
        self.decode_time_s = Histogram(_REQUEST_S)
        self.inference_time_s = Histogram(_REQUEST_S)
        self.request_prompt_tokens = Histogram(_TOKENS)
        self.request_generation_tokens = Histogram(_TOKENS)
        self.request_max_generation_tokens = Histogram(_TOKENS)
        self.params_n = Histogram(_CHOICES)
        self.params_max_tokens = Histogram(_TOKENS)


class _ChoiceMeter:
    __slots__ = ("first_at", "last_at", "tokens")

    def __init__(self) -> None:
        self.first_at = self.last_at = 0.0
        self.tokens = 0


class RequestMeter:
    """Follows one generation from its arrival to `end`, which counts it however it went."""

    __slots__ = (
        "_arrived_at",
        "_choices",
        "_generation",
        "_has_ended",
        "_metrics",
        "_read_prompts",
        "_seen",
        "elapsed_s",
        "has_failed",
    )

    def __init__(self, metrics: ServerMetrics, generation: Generation) -> None:
        self._metrics = metrics
        self._generation = generation
        self._arrived_at = time.monotonic()
        self._choices = [_ChoiceMeter() for _ in range(generation.num_choices)]
        self._read_prompts: set[int] = set()
        self._seen = 0
        self.elapsed_s = 0.0
        self.has_failed = False
        self._has_ended = False

    def batch(self, deltas: Sequence[ChoiceDelta]) -> None:
        """Counts the last batch of the generation: deltas that arrived at one moment."""
        now = time.monotonic()
        seen, self._seen = self._seen, self._generation.completion_tokens
        tokens = self._seen - seen
        self._metrics.generation_tokens += tokens
        if self._generation.is_plain:
            choice = self._choices[0]
            if tokens and choice.tokens:  # nearly every token
                self._metrics.inter_token_latency_s.add((now - choice.last_at) / tokens, tokens)
                choice.last_at = now
                choice.tokens += tokens
            else:
                self._gained(0, tokens, now)
            return
        gained: Counter[int] = Counter()
        for delta in deltas:
            gained[delta.index] += delta.completion_tokens - seen
            seen = delta.completion_tokens
        for index, tokens in gained.items():
            self._gained(index, tokens, now)

    def _gained(self, index: int, tokens: int, now: float) -> None:
        if not tokens:
            return
        choice = self._choices[index]
        gaps = tokens
        if not choice.tokens:
            had_at = self._generation.first_token_at()
            choice.first_at = choice.last_at = now if had_at is None else had_at
            self._metrics.time_to_first_token_s.add(max(0.0, choice.first_at - self._arrived_at))
            self._read_prompt(self._generation.prompt_number(index))
            gaps -= 1
        if gaps:
            self._metrics.inter_token_latency_s.add((now - choice.last_at) / gaps, gaps)
            choice.last_at = now
        choice.tokens += tokens

    def _read_prompt(self, number: int) -> None:
        if number not in self._read_prompts:
            self._read_prompts.add(number)
            self._metrics.prompt_tokens += len(self._generation.runs[number].token_ids)

    def end(self) -> None:
        """Counts the generation, once. Call it before the generation is closed.

        A generation that the engine did not admit is not counted.
        """
        if self._has_ended:
            return
        self._has_ended = True
        now = time.monotonic()
        self.elapsed_s = now - self._arrived_at
        if not self._generation.has_started:
            return
        metrics = self._metrics
        for run in self._generation.runs:
            metrics.request_prompt_tokens.add(len(run.token_ids))
            metrics.params_n.add(run.params.n)
            metrics.params_max_tokens.add(run.params.max_tokens)
        unfinished = "error" if self.has_failed else "abort"
        unread = {} if self._generation.is_finished else self._generation.unread_tokens()
        for index, reason in enumerate(self._generation.finish_reasons):
            choice = self._choices[index]
            if reason is not None:
                self._read_prompt(self._generation.prompt_number(index))  # even if no token was requested
            else:
                tokens = unread.get(index, 0)
                metrics.generation_tokens += tokens
                self._gained(index, tokens, now)
            metrics.finished[reason or unfinished] += 1
            metrics.e2e_latency_s.add(self.elapsed_s)
            metrics.request_generation_tokens.add(choice.tokens)
            self._add_times(choice, self._generation.scheduled(index))
        metrics.request_max_generation_tokens.add(max(choice.tokens for choice in self._choices))

    def _add_times(self, choice: _ChoiceMeter, scheduled: Scheduled | None) -> None:
        """Counts the times of the stages that a choice has reached."""
        metrics, decode_s = self._metrics, choice.last_at - choice.first_at
        if choice.tokens:
            metrics.decode_time_s.add(decode_s)
        if choice.tokens > 1:
            metrics.time_per_output_token_s.add(decode_s / (choice.tokens - 1))
        if scheduled is None:
            return
        metrics.queue_time_s.add(scheduled.at - scheduled.queued_at)
        if choice.tokens:
            prefill_s = max(0.0, choice.first_at - scheduled.at)
            metrics.prefill_time_s.add(prefill_s)
            metrics.inference_time_s.add(prefill_s + decode_s)
