"""Asks a model every row of a dataset, some at a time, and writes each answer when it is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mock_server.dataset.sample import Sample
from mock_server.infer.figures import AnswerFigures
from mock_server.infer.result_row import question_fields
from mock_server.infer.results_file import ResultsFile
from mock_server.infer.scoring import Scorer, is_exact
from mock_server.infer.speaker import USAGE, Speaker
from sdk import (
    AsyncInferenceClient,
    AuthenticationError,
    ConfigError,
    ConnectError,
    ConnectTimeoutError,
    ModelNotFoundError,
    PermissionDeniedError,
    SDKError,
    ServiceUnavailableError,
    StreamServerError,
)

_STOPS = (
    AuthenticationError, ConfigError, ConnectError, ConnectTimeoutError, ModelNotFoundError, PermissionDeniedError,
    ServiceUnavailableError,
)  # fmt: skip
"""Errors that the other rows would get as well: the evaluation ends, and no row has failed."""
_UNAVAILABLE = 503
"""The same, of an answer that had begun."""
_COMPARED_AT_ONCE = 100_000
"""The product of two texts' lengths from which comparing them would hold up the streams."""


class Watcher(Protocol):
    """Is told about each row."""

    def row_done(self, *, is_good: bool, tokens: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, of whom. `check` raises if the model cannot answer any more."""

    samples: Sequence[Sample]
    speaker: Speaker
    fields: Mapping[str, Any]
    system: str | None
    at_once: int
    check: Callable[[], None]


async def evaluate(
    plan: Plan, client: AsyncInferenceClient, results: ResultsFile, scorer: Scorer, watcher: Watcher
) -> None:
    """Asks the rows that the results do not have. Rows that fail are written as such.

    Raises `SDKError` if no row can be answered, `ResultsError`, and what the plan's `check` raises.
    """
    began = time.perf_counter()
    pending = iter([index for index in range(len(plan.samples)) if index not in results.results])

    async def work(numbers: Iterator[int]) -> None:
        for index in numbers:
            line = await _answered(plan, client, scorer, index)
            line |= {"session": results.session, "at_s": round(time.perf_counter() - began, 6)}
            results.add(line)
            watcher.row_done(is_good=line["error"] is None, tokens=line["num_generated_tokens"] or 0)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(plan.at_once, len(plan.samples))):
                workers.create_task(work(pending))
    except ExceptionGroup as error:
        raise error.exceptions[0] from None


async def _answered(plan: Plan, client: AsyncInferenceClient, scorer: Scorer, index: int) -> dict[str, Any]:
    sample = plan.samples[index]
    answer = _Answer(plan, client)
    failure = None
    try:
        await answer.arrive(sample)
    except SDKError as error:
        plan.check()
        if isinstance(error, _STOPS) or (isinstance(error, StreamServerError) and error.status == _UNAVAILABLE):
            raise
        failure = {"type": type(error).__name__, "message": error.message}
        answer.text = error.partial
    exact, rouge_l = None, None
    if sample.response is not None and failure is None:
        exact, rouge_l = is_exact(answer.text, sample.response), await _rouge_l(scorer, answer.text, sample.response)
    figures = answer.figures
    return {
        **question_fields(index, sample),
        "response": answer.text,
        "exact_match": exact,
        "rouge_l": None if rouge_l is None else round(rouge_l, 6),
        "finish_reason": answer.finish_reason,
        "num_prompt_tokens": figures.prompt_tokens,
        "num_generated_tokens": figures.tokens,
        "ttft_s": _rounded(figures.ttft_s),
        "latency_s": _rounded(figures.latency_s),
        "id": answer.id,
        "request_id": answer.request_id,
        "error": failure,
    }


class _Answer:
    """One row's answer as far as it has come."""

    def __init__(self, plan: Plan, client: AsyncInferenceClient) -> None:
        self._plan = plan
        self._client = client
        self.text = ""
        self.finish_reason: str | None = None
        self.id: str | None = None
        self.request_id: str | None = None
        self.figures = AnswerFigures()

    async def arrive(self, sample: Sample) -> None:
        """Raises `SDKError`."""
        speaker = self._plan.speaker
        fields: Any = {**self._plan.fields, "stream_options": USAGE}
        messages = [message._asdict() for message in sample.messages]
        if speaker.is_chat:
            if self._plan.system is not None and messages[0]["role"] != "system":
                messages.insert(0, {"role": "system", "content": self._plan.system})
            async with await self._client.chat_stream(speaker.name, messages, **fields) as chat:
                async for chunk in chat:
                    self._take(chunk.id, bool(chunk.choices[0].delta.content or chunk.choices[0].delta.thoughts))
                self._end(chat)
        else:
            prompt = messages[-1]["content"]
            async with await self._client.complete_stream(speaker.name, prompt, **fields) as completion:
                async for piece in completion:
                    self._take(piece.id, bool(piece.choices[0].text))
                self._end(completion)

    def _take(self, id: str | None, has_text: bool) -> None:
        self.id = self.id or id
        if has_text:
            self.figures.piece_arrived()

    def _end(self, stream: Any) -> None:
        self.text, self.finish_reason, self.request_id = stream.text, stream.finish_reason, stream.request_id
        usage = stream.usage
        self.figures.ended(*((None, None) if usage is None else (usage.prompt_tokens, usage.completion_tokens)))


async def _rouge_l(scorer: Scorer, response: str, label: str) -> float:
    if len(response) * len(label) < _COMPARED_AT_ONCE:
        return scorer.rouge_l(response, label)
    return await asyncio.to_thread(scorer.rouge_l, response, label)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
