"""One request on the engine: its prompts, the text of its choices as it is generated, and its usage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mock_server.answer.choice import ChoiceText
from mock_server.answer.choice_delta import ChoiceDelta
from mock_server.answer.interleaving import interleaved
from mock_server.answer.logprobs import Logprobs, LogprobsWriter
from mock_server.engine.base import (
    Delta,
    DeltaStream,
    Engine,
    FinishReason,
    GenerationParams,
    PositionLogprobs,
    PushStream,
    Scheduled,
)
from mock_server.engine.errors import EngineError

_BATCHES_A_TURN = 32
_LONGEST_TURN_S = 0.002  # twenty requests may each have one in a pass
_POSITIONS_A_TURN = 500


@dataclass(frozen=True, slots=True)
class Echo:
    """A prompt that the answer repeats: its text, and where each of its tokens begins in the text."""

    text: str
    offsets: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class PromptRun:
    """A prompt and how to continue it. The choices of the k-th prompt have the indices k*n to k*n + n - 1."""

    token_ids: Sequence[int]
    params: GenerationParams
    echo: Echo | None = None


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How tokens become the text and the log probabilities of the answer."""

    stop_strings: Sequence[str] = ()
    logprobs: LogprobsWriter[Any] | None = None


class Generation:
    """Start it, take its batches, and close it in any case, because closing frees the engine."""

    __slots__ = (
        "_adapter",
        "_batches",
        "_choices",
        "_choices_each",
        "_echoed_logprobs",
        "_engine",
        "_interleaved",
        "_is_heavy",
        "_logprobs",
        "_open",
        "_prompt_only",
        "_pushing",
        "_request_id",
        "_runs",
        "_streams",
        "_text",
        "_turn_ends",
        "_unechoed",
        "completion_tokens",
        "is_finished",
        "is_plain",
        "num_choices",
        "prompt_tokens",
    )

    def __init__(
        self,
        engine: Engine,
        runs: Sequence[PromptRun],
        *,
        request_id: str,
        adapter: str | None = None,
        text: TextOptions = TextOptions(),
    ) -> None:
        self._engine = engine
        self._runs = runs
        self._request_id = request_id
        self._adapter = adapter
        self._logprobs = text.logprobs
        self._batches = 0
        self._turn_ends = time.monotonic() + _LONGEST_TURN_S
        self._streams: list[DeltaStream] = []
        self._pushing: PushStream | None = None
        self._interleaved: AsyncGenerator[tuple[int, Sequence[Delta]], None] | None = None
        self._choices_each = runs[0].params.n
        self._prompt_only = runs[0].params.max_tokens == 0
        self._text = text
        self._choices: list[ChoiceText] = []
        self._open = self.num_choices = sum(run.params.n for run in runs)
        self.is_plain = self.num_choices == 1 and runs[0].echo is None and text.logprobs is None
        """The request asks for one choice, and only for its text and tokens. Most requests do, so this class, the
        metrics and the events have a faster path for them.
        """
        self._is_heavy = self.num_choices > 1 or text.logprobs is not None
        self.is_finished = False
        """Every choice has its finish reason."""
        self._unechoed: dict[int, Echo] = {}
        self._echoed_logprobs: dict[int, Logprobs] = {}
        self.prompt_tokens = sum(len(run.token_ids) for run in runs)
        self.completion_tokens = 0

    def _choice(self, run: PromptRun) -> ChoiceText:
        return ChoiceText(
            self._engine.detokenizer(run.token_ids),
            self._text.stop_strings,
            run.params.min_tokens,
            watch_offsets=self._logprobs is not None,
            first_offset=len(run.echo.text) if run.echo is not None else 0,
        )

    def _run_of(self, choice: int) -> PromptRun:
        return self._runs[self.prompt_number(choice)]

    @property
    def prompts(self) -> list[Sequence[int]]:
        """The prompt of each choice."""
        return [self._run_of(index).token_ids for index in range(self.num_choices)]

    @property
    def runs(self) -> Sequence[PromptRun]:
        return self._runs

    def scheduled(self, choice: int) -> Scheduled | None:
        """When the engine began with a choice; None if it has not, or does not report it."""
        number, position = divmod(choice, self._choices_each)
        return self._streams[number].scheduled(position)

    def prompt_number(self, choice: int) -> int:
        """The number of the prompt that a choice continues."""
        return choice // self._choices_each

    def unread_tokens(self) -> dict[int, int]:
        """The number of tokens of each choice that are generated and not delivered in a batch yet."""
        if self._prompt_only:
            return {}
        return {
            number * self._choices_each + position: tokens
            for number, stream in enumerate(self._streams)
            for position, tokens in stream.unread_tokens().items()
        }

    @property
    def has_started(self) -> bool:
        """The engine has admitted every prompt."""
        return len(self._streams) == len(self._runs)

    @property
    def finish_reasons(self) -> list[FinishReason | None]:
        return [choice.finish_reason for choice in self._choices]

    def first_token_at(self) -> float | None:
        """When the first token of the only prompt was generated, by `time.monotonic`, if the engine reports it."""
        return self._streams[0].first_token_at if len(self._streams) == 1 else None

    def prompt_logprobs(self, choice: int) -> Sequence[PositionLogprobs | None] | None:
        """Those of the prompt that a choice continues; available after its first batch."""
        return self._streams[choice // self._choices_each].prompt_logprobs

    async def start(self) -> None:
        """Hands every prompt to the engine. Raises `EngineError` if the engine refuses one."""
        several = len(self._runs) > 1
        for number, run in enumerate(self._runs):
            self._add_choices(run)
            request_id = f"{self._request_id}-{number}" if several else self._request_id
            # an engine reads a prompt only to continue it: by one token, the same in each choice, which is never shown
            params = replace(run.params, max_tokens=1, temperature=0.0) if self._prompt_only else run.params
            stream = await self._engine.generate(run.token_ids, params, request_id=request_id, adapter=self._adapter)
            self._streams.append(stream)
            if several:
                await asyncio.sleep(0)
        if several:
            self._interleaved = interleaved(self._streams)

    def _add_choices(self, run: PromptRun) -> None:
        first = len(self._choices)
        self._choices += [self._choice(run) for _ in range(run.params.n)]
        if run.echo is not None:
            self._unechoed |= dict.fromkeys(range(first, len(self._choices)), run.echo)

    async def next_batch(self) -> list[ChoiceDelta]:
        """Waits until something is ready, and returns everything that is. Call it until `is_finished`.

        Raises `EngineError` if the engine fails or ends too soon.
        """
        number = 0
        self._batches += 1
        # even with an engine that never waits, other tasks must run
        if not self._batches % _BATCHES_A_TURN or (self._is_heavy and time.monotonic() > self._turn_ends):
            await asyncio.sleep(0)
            self._turn_ends = time.monotonic() + _LONGEST_TURN_S
        try:
            if self._interleaved is None:
                deltas = await self._streams[0].__anext__()
            else:
                number, deltas = await self._interleaved.__anext__()
        except StopAsyncIteration:
            raise _ended_too_soon() from None
        if self._unechoed and self._logprobs is not None and number not in self._echoed_logprobs:
            await self._write_prompt(number, self._logprobs)
        return self._plain_texts(deltas) if self.is_plain else self._texts(number * self._choices_each, deltas)

    def listen(self, callback: Callable[[], None] | None) -> bool:
        """From now on, calls `callback` for each batch, which must take it; `next_batch` must not be used meanwhile.

        Returns False if this generation does not support it: continue with `next_batch`. None ends the calls.
        """
        stream = self._streams[0]
        if len(self._streams) > 1 or not isinstance(stream, PushStream):
            return False
        self._pushing = stream
        stream.listen(callback)
        return True

    def take_batch(self) -> list[ChoiceDelta]:
        """The batch for which the callback was called. Raises `EngineError`."""
        if self._pushing is None:
            raise RuntimeError("no callback is set")
        deltas = self._pushing.take()
        if not deltas:
            raise _ended_too_soon()
        return self._plain_texts(deltas) if self.is_plain else self._texts(0, deltas)

    def _plain_texts(self, deltas: Sequence[Delta]) -> list[ChoiceDelta]:
        """Like `_texts`, for a plain generation. Nearly every token takes this path."""
        choice = self._choices[0]
        texts: list[ChoiceDelta] = []
        for delta in deltas:
            token_ids = delta.token_ids
            text, finish_reason = choice.push(token_ids, delta.finish_reason)
            if finish_reason is not None:  # a stop string may have come before the last tokens
                before = texts[-1].completion_tokens if texts else self.completion_tokens
                token_ids = token_ids[: choice.completion_tokens - before]
                self.is_finished = True
            texts.append(ChoiceDelta(0, text, finish_reason, choice.completion_tokens, None, token_ids))
            if finish_reason is not None:  # the rest is not part of the answer
                break
        self.completion_tokens = choice.completion_tokens
        return texts

    def _texts(self, first_choice: int, deltas: Sequence[Delta]) -> list[ChoiceDelta]:
        texts = []
        for position, token_ids, engine_finish_reason, positions in deltas:
            index = first_choice + position
            choice = self._choices[index]
            if choice.finish_reason is not None:  # ended by a stop string, which the engine does not know
                continue
            if self._prompt_only:
                if engine_finish_reason is None:
                    continue
                token_ids, positions, engine_finish_reason = (), (), "length"
            before = choice.completion_tokens
            text, finish_reason = choice.push(token_ids, engine_finish_reason)
            gained = choice.completion_tokens - before
            self.completion_tokens += gained
            if gained < len(token_ids):  # a stop string came before the last of them
                token_ids = token_ids[:gained]
            if finish_reason is not None:
                self._open -= 1
                self.is_finished = not self._open
            logprobs: Logprobs | None = None
            if self._logprobs is not None and positions is not None:
                shown = len(choice.offsets)
                logprobs = self._logprobs.write(token_ids[:shown], positions[:shown], choice.offsets)
            if index in self._unechoed:
                text, logprobs = self._echoed(index, text, logprobs)
            texts.append(ChoiceDelta(index, text, finish_reason, self.completion_tokens, logprobs, token_ids))
        return texts

    async def _write_prompt(self, number: int, writer: LogprobsWriter[Any]) -> None:
        """Writes a prompt's log probabilities for the choices that repeat it. Other requests run between the pieces."""
        run, positions = self._runs[number], self._streams[number].prompt_logprobs
        if run.echo is None or positions is None:
            return
        pieces: list[Logprobs] = []
        for start in range(0, len(positions), _POSITIONS_A_TURN):
            piece = slice(start, start + _POSITIONS_A_TURN)
            pieces.append(writer.write(run.token_ids[piece], positions[piece], run.echo.offsets[piece]))
            await asyncio.sleep(0)
        self._echoed_logprobs[number] = writer.join(pieces)

    def _echoed(self, index: int, text: str, logprobs: Logprobs | None) -> tuple[str, Logprobs | None]:
        """A choice's first text, after its prompt."""
        echo = self._unechoed.pop(index)
        prompt = self._echoed_logprobs.get(self.prompt_number(index))
        if self._logprobs is not None and logprobs is not None and prompt is not None:
            logprobs = self._logprobs.join([prompt, logprobs])
        return echo.text + text, logprobs

    async def aclose(self) -> None:
        if self._interleaved is not None:
            await self._interleaved.aclose()
        for stream in self._streams:
            await stream.aclose()


def _ended_too_soon() -> EngineError:
    return EngineError("the engine's stream ended without a finish reason")
