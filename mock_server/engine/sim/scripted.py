"""The scripted engine: a function decides each request's tokens and their times, so tests of meters know the truth.

Requests do not share a batch: each keeps its own absolute schedule, whatever the load. An exception of a script fails
only its own request.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import index
from typing import NamedTuple

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.problems import TooMuchWorkError
from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta, EngineStats, GenerationParams
from mock_server.engine.delta_queue import DeltaQueue
from mock_server.engine.errors import EngineDeadError, EngineError
from mock_server.engine.outbox import Outbox
from mock_server.engine.sim import sequence
from mock_server.engine.sim.bundled import DEFAULT_MAX_MODEL_LEN, FEATURES, BundledText, make_info
from mock_server.engine.sim.clock import Clock
from mock_server.engine.sim.lag import LagMeter
from mock_server.engine.sim.worker import Worker

_log = logging.getLogger(__name__)
_MOST_AT_ONCE = 32  # of due deltas: a process that cannot keep up still hears its clients


class ScriptedRequest(NamedTuple):
    """The part of a request that a script sees."""

    prompt_token_ids: Sequence[int]
    params: GenerationParams
    adapter: str | None
    budget: Budget | None = None
    """For an author that satisfies a client's schema. The script is restarted if the budget was too small."""


class TimedDelta(NamedTuple):
    """A delta and its time, in seconds after the request's arrival."""

    at_s: float
    delta: Delta


Script = Callable[[ScriptedRequest], Iterator[TimedDelta]]
"""Yields deltas in the order of time, until each choice has a finish reason. An exception fails the request, and the
message of an `EngineError` reaches the client."""


def paced_script(author: Author, *, ttft_s: float, itl_s: float) -> Script:
    """The author's text: the first token after `ttft_s`, then one every `itl_s`."""
    eos_token_id = author.tokenizer.eos_token_id

    def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
        tokens = author.tokens(request.prompt_token_ids, request.params, request.adapter, request.budget)
        speaking = [
            sequence.Sequence(0, request.params, source, eos_token_id=eos_token_id, choice=choice)
            for choice, source in enumerate(tokens)
        ]
        position = 0
        while speaking:
            at_s = ttft_s + position * itl_s
            position += 1
            for speaker in tuple(speaking):
                token_id, finish_reason = speaker.sample()
                if finish_reason is not None:
                    speaking.remove(speaker)
                yield TimedDelta(at_s, Delta(speaker.choice, (token_id,), finish_reason, speaker.last_logprobs()))

    return script


@dataclass(slots=True)
class _Performance:
    """A request under way: its next delta, and its stream."""

    arrived_at: float
    rest: Iterator[TimedDelta]
    next: TimedDelta
    queue: DeltaQueue
    num_choices: int
    finished: set[int] = field(default_factory=set)

    @property
    def has_ended(self) -> bool:
        return len(self.finished) == self.num_choices


@contextmanager
def _failing_the_request() -> Iterator[None]:
    """Turns any exception of a script into an `EngineError`, except `TooMuchWorkError`."""
    try:
        yield
    except (EngineError, TooMuchWorkError, KeyboardInterrupt):
        raise
    except BaseException as error:
        _log.exception("the script failed")
        raise EngineError(f"the script raised {type(error).__name__}; see the server's log") from error


def _check(timed: TimedDelta, num_choices: int, vocab_size: int) -> None:
    """Raises `EngineError` for an invalid delta, and another error for a value that is not a delta."""
    choice, token_ids, finish_reason, _ = timed.delta
    if not math.isfinite(timed.at_s):
        raise EngineError(f"the script gave a delta at the time {timed.at_s!r}; it must be finite")
    if not 0 <= choice < num_choices:
        raise EngineError(f"the script gave a delta for choice {choice!r}; the request has {num_choices}")
    if finish_reason not in (None, "stop", "length"):
        raise EngineError(f"the script gave the finish reason {finish_reason!r}; it must be None, 'stop' or 'length'")
    if not all(0 <= index(token_id) < vocab_size for token_id in token_ids):
        raise EngineError(f"the script gave a token outside the vocabulary, whose size is {vocab_size}")


class ScriptedEngine(BundledText):
    """An `Engine` whose tokens and times are all known beforehand."""

    def __init__(
        self,
        script: Script,
        clock: Clock,
        tokenizer: Tokenizer,
        *,
        profile: str = "script",
        max_model_len: int = DEFAULT_MAX_MODEL_LEN,
        author: Author | None = None,
        image_tokens: int | None = None,
    ) -> None:
        """`author`: the author of the script's tokens, if there is one, as for `paced_script`. The engine then supports
        all features of an author. `image_tokens`: how many tokens an image counts as; None: text only.
        """
        super().__init__(tokenizer)
        features = frozenset() if author is None else FEATURES
        self.info = make_info("scripted", profile, max_model_len, tokenizer.vocab_size, features, image_tokens)
        self._author = author
        self._script = script
        self._clock = clock
        self._performances: dict[int, _Performance] = {}
        self._outbox = Outbox()
        self._requests = self._prompt_tokens = self._generated_tokens = 0
        self._death: EngineDeadError | None = EngineDeadError("the engine has not been started")
        self._lag = LagMeter()

    async def start(self) -> None:
        self._clock.start()
        self._outbox, self.worker = Outbox(), Worker()  # bound to this event loop
        self._death = None

    async def stop(self) -> None:
        self._death = EngineDeadError("the engine was stopped")
        while self._performances:
            key, performance = next(iter(self._performances.items()))
            self._forget(key)
            performance.queue.fail(self._death)
        self.worker.stop()
        self._clock.stop()

    def check_health(self) -> None:
        if self._death is not None:
            raise self._death

    def stats(self) -> EngineStats:
        return EngineStats(
            running=len(self._performances),
            waiting=0,
            requests=self._requests,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens,
            lag_s=self._lag.summary(),
        )

    async def generate(
        self,
        prompt_token_ids: Sequence[int],
        params: GenerationParams,
        *,
        request_id: str,
        adapter: str | None = None,
    ) -> DeltaQueue:
        self.check_health()
        self.check_adapter(adapter)
        arrived_at = self._clock.now()
        request = ScriptedRequest(prompt_token_ids, params, adapter)
        first, rest = await self.worker.run(lambda budget: self._begin(request._replace(budget=budget)), params.n)
        prompt_logprobs = (
            None if self._author is None else await self.prompt_logprobs(self._author, prompt_token_ids, params)
        )
        self.check_health()  # no await from here to the queue: the engine's end would go unnoticed
        self._requests += 1
        self._prompt_tokens += len(prompt_token_ids)
        key = self._requests
        queue = DeltaQueue(
            params.n,
            lambda: self._forget(key),
            final_only=params.final_only,
            top_logprobs=params.logprobs,
            prompt_logprobs=prompt_logprobs,
            outbox=self._outbox,
        )
        queue.queued_at = time.monotonic()  # nothing here waits
        for choice in range(params.n):
            queue.schedule(choice, queue.queued_at)
        self._performances[key] = _Performance(arrived_at, rest, first, queue, params.n)
        self._call_when_due(key)
        return queue

    def _begin(self, request: ScriptedRequest) -> tuple[TimedDelta, Iterator[TimedDelta]]:
        """The first delta and an iterator over the rest. Raises `EngineError`."""
        with _failing_the_request():
            rest = iter(self._script(request))
        return self._next_of(rest, request.params.n), rest

    def _next_of(self, rest: Iterator[TimedDelta], num_choices: int) -> TimedDelta:
        """Raises `EngineError`."""
        with _failing_the_request():
            timed = next(rest, None)
            if timed is None:
                raise EngineError("the script ended before each choice had a finish reason")
            _check(timed, num_choices, self.info.vocab_size)
        return timed

    def _forget(self, key: int) -> None:
        performance = self._performances.pop(key, None)
        close = getattr(performance.rest, "close", None) if performance is not None else None
        if close is not None:
            try:
                close()
            except Exception:
                _log.exception("the script failed when it was closed")

    def _call_when_due(self, key: int) -> None:
        performance = self._performances[key]
        self._clock.call_at(performance.arrived_at + performance.next.at_s, lambda: self._perform(key))

    def _perform(self, key: int) -> None:
        """Hands over the due deltas, and schedules the rest."""
        performance = self._performances.get(key)
        if performance is None:  # closed by its reader
            return
        elapsed_s = self._clock.now() - performance.arrived_at
        self._lag.add(elapsed_s - performance.next.at_s)
        try:
            for _ in range(_MOST_AT_ONCE):
                if performance.next.at_s > elapsed_s:
                    break
                self._hand_over(performance)
                if performance.has_ended:
                    self._forget(key)
                    return
                performance.next = self._next_of(performance.rest, performance.num_choices)
        except EngineError as error:
            self._forget(key)
            performance.queue.fail(error)
        else:
            self._call_when_due(key)

    def _hand_over(self, performance: _Performance) -> None:
        delta = performance.next.delta
        if delta.choice in performance.finished:
            return
        performance.queue.put(delta)
        self._generated_tokens += len(delta.token_ids)
        if delta.finish_reason is not None:
            performance.finished.add(delta.choice)
