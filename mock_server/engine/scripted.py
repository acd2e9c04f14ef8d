"""The scripted engine: a function decides each request's tokens and their times. The truth for tests of meters.

Requests do not share a batch: each keeps its own absolute schedule, whatever the load.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from . import sequence
from .base import Delta, EngineStats, GenerationParams
from .bundled import DEFAULT_MAX_MODEL_LEN, FEATURES, BundledText, make_info
from .clock import Clock
from .delta_queue import DeltaQueue
from .errors import EngineDeadError, EngineError
from .lag import LagMeter
from .outbox import Outbox
from .prose import Author
from .tokenizer import Tokenizer

_MOST_AT_ONCE = 32  # of what is due: a process that cannot keep up still hears its clients


class ScriptedRequest(NamedTuple):
    """What a script gets to see of a request."""

    prompt_token_ids: Sequence[int]
    params: GenerationParams
    adapter: str | None


class TimedDelta(NamedTuple):
    """A delta and when it comes, in seconds after the request's arrival."""

    at_s: float
    delta: Delta


Script = Callable[[ScriptedRequest], Iterator[TimedDelta]]
"""Yields in the order of time, until each choice has a finish reason. An `EngineError` that it raises
fails the request from the first token on."""


def paced_script(author: Author, *, ttft_s: float, itl_s: float) -> Script:
    """The author's text: the first token after `ttft_s`, one more each `itl_s`."""
    eos_token_id = author.tokenizer.eos_token_id

    def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
        tokens = author.tokens(request.prompt_token_ids, request.params, request.adapter)
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
    """A request under way: what comes next, and whom it goes to."""

    arrived_at: float
    rest: Iterator[TimedDelta]
    next: TimedDelta
    queue: DeltaQueue
    open_choices: int


def _next_of(rest: Iterator[TimedDelta]) -> TimedDelta:
    timed = next(rest, None)
    if timed is None:
        raise EngineError("the script ended before each choice had a finish reason")
    return timed


class ScriptedEngine(BundledText):
    """An `Engine` whose every token and time is known beforehand."""

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
        """`author`: whose tokens the script's are, as `paced_script`'s are; then it does all that an author does.
        `image_tokens`: what an image counts as; None: text only.
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
        self._outbox = Outbox()  # of this loop
        self._death = None

    async def stop(self) -> None:
        self._death = EngineDeadError("the engine was stopped")
        while self._performances:
            self._performances.popitem()[1].queue.fail(self._death)
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
        author = self._author
        prompt_logprobs = None if author is None else await author.prompt_logprobs(prompt_token_ids, params)
        self.check_health()  # and no await from here to the queue, which would miss the engine's end
        self.check_adapter(adapter)
        rest = self._script(ScriptedRequest(prompt_token_ids, params, adapter))
        first = _next_of(rest)
        self._requests += 1
        self._prompt_tokens += len(prompt_token_ids)
        key = self._requests
        queue = DeltaQueue(
            params.n,
            lambda: self._forget(key),
            final_only=params.final_only,
            prompt_logprobs=prompt_logprobs,
            outbox=self._outbox,
        )
        queue.queued_at = time.monotonic()  # nobody waits here
        for choice in range(params.n):
            queue.schedule(choice, queue.queued_at)
        self._performances[key] = _Performance(self._clock.now(), rest, first, queue, params.n)
        self._call_when_due(key)
        return queue

    def _forget(self, key: int) -> None:
        self._performances.pop(key, None)

    def _call_when_due(self, key: int) -> None:
        performance = self._performances[key]
        self._clock.call_at(performance.arrived_at + performance.next.at_s, lambda: self._perform(key))

    def _perform(self, key: int) -> None:
        """Hands over what is due, and comes back for the rest."""
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
                if not performance.open_choices:
                    self._forget(key)
                    return
                performance.next = _next_of(performance.rest)
        except EngineError as exc:
            self._forget(key)
            performance.queue.fail(exc)
        else:
            self._call_when_due(key)

    def _hand_over(self, performance: _Performance) -> None:
        delta = performance.next.delta
        performance.queue.put(delta)
        self._generated_tokens += len(delta.token_ids)
        if delta.finish_reason is not None:
            performance.open_choices -= 1
