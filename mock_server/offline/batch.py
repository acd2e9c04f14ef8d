"""Runs rows on an engine: encodes a few at a time, limits how many run concurrently, and keeps failures separate."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mock_server.answer.bodies import ChatLogprobs
from mock_server.answer.generation import Generation, PromptRun, TextOptions
from mock_server.answer.logprobs import ChatLogprobsWriter
from mock_server.engine.base import Engine
from mock_server.engine.errors import EngineError, RequestRefusedError
from mock_server.offline.generation_config import GenerationConfig
from mock_server.offline.rows import FailedResponse, InferResponse, Row
from mock_server.offline.template import Template

_ENCODED_TOGETHER = 32


@dataclass(slots=True, eq=False)
class RowRun:
    """A row under way: the texts of its choices so far, its tokens, its error. A row that could not be read has an
    `error` from the start.
    """

    number: int
    row: Row | None = None
    error: Exception | None = None
    texts: list[str] = field(default_factory=list)
    logprobs: list[ChatLogprobs] = field(default_factory=list)
    prompt_token_ids: Sequence[int] = ()
    num_prompt_tokens: int = 0
    num_generated_tokens: int = 0
    is_finished: bool = False

    def response(self) -> InferResponse | FailedResponse | None:
        """The response so far; None before its first token."""
        if self.error is not None:
            history = [] if self.row is None else [list(pair) for pair in self.row.history]
            return {"response": None, "history": history, "error": self.error}
        if self.row is None or not self.texts:
            return None
        text = self.texts[0]
        response: InferResponse = {"response": text, "history": self.row.grown(text)}
        if len(self.texts) > 1:
            response["responses"] = list(self.texts)
        if self.logprobs:
            response["logprobs"] = ChatLogprobsWriter.join(self.logprobs).model_dump()
        return response


class Batch:
    """The rows of one call. `on_change` is called in the loop's thread when a row gains tokens or ends."""

    def __init__(
        self,
        engine: Engine,
        template: Template,
        runs: Sequence[RowRun],
        config: GenerationConfig,
        *,
        limit: int,
        is_streaming: bool,
        on_change: Callable[[RowRun], None],
        adapter: str | None = None,
        keep_prompts: bool = False,
    ) -> None:
        """`limit`: how many rows may be in the engine concurrently."""
        self._engine = engine
        self._template = template
        self._runs = runs
        self._config = config
        self._adapter = adapter
        self._limit = limit
        self._is_streaming = is_streaming
        self._on_change = on_change
        self._keep_prompts = keep_prompts

    async def run(self) -> None:
        """Runs until every row has its response or error. If cancelled, it leaves nothing in the engine."""
        try:
            await self._run_all()
        except asyncio.CancelledError:
            if not self._was_stopped():
                raise

    async def _run_all(self) -> None:
        slots = asyncio.Semaphore(self._limit)
        async with asyncio.TaskGroup() as tasks:
            for together in _chunks(self._runs, min(_ENCODED_TOGETHER, self._limit)):
                for run, token_ids in await asyncio.to_thread(self._encode, together):
                    await slots.acquire()
                    tasks.create_task(self._run_row(run, token_ids)).add_done_callback(lambda _: slots.release())

    def _was_stopped(self) -> bool:
        """Whether the engine was stopped, and not only the call. Rows that have not ended then fail with its error."""
        try:
            self._engine.check_health()
        except EngineError as error:
            for run in self._runs:
                if not run.is_finished:
                    run.error, run.is_finished = error, True
                    self._on_change(run)
            return True
        return False

    def _encode(self, runs: Sequence[RowRun]) -> list[tuple[RowRun, list[int]]]:
        encoded: list[tuple[RowRun, list[int]]] = []
        for run in runs:
            token_ids: list[int] = []
            if run.row is not None:
                try:
                    token_ids = self._template.encode(run.row.turns, continue_final=run.row.is_observation)
                except Exception as error:  # any error of the tokenizer or a template: the other rows continue
                    run.error = error
            encoded.append((run, token_ids))
        return encoded

    async def _run_row(self, run: RowRun, token_ids: Sequence[int]) -> None:
        try:
            if run.error is None:
                await self._generate(run, token_ids)
        except Exception as error:
            run.error = error
        run.is_finished = True
        self._on_change(run)

    async def _generate(self, run: RowRun, token_ids: Sequence[int]) -> None:
        room = self._engine.info.max_model_len - len(token_ids)
        if not token_ids or room < 1:
            raise RequestRefusedError(
                f"the prompt has {len(token_ids)} tokens, but the model's context of {self._engine.info.max_model_len}"
                " must have room for at least one of them and for the response",
                "query",
            )
        params = self._config.params(room, whole=not self._is_streaming)
        writer = None if params.logprobs is None else ChatLogprobsWriter(self._engine.token_bytes, params.logprobs)
        run.num_prompt_tokens = len(token_ids)
        if self._keep_prompts:
            run.prompt_token_ids = token_ids
        generation = Generation(
            self._engine,
            [PromptRun(token_ids, params)],
            request_id=f"row-{run.number}",
            adapter=self._adapter,
            text=TextOptions(stop_strings=self._config.stop, logprobs=writer),
        )
        try:
            await generation.start()
            texts = [""] * generation.num_choices
            while not generation.is_finished:
                for delta in await generation.next_batch():
                    texts[delta.index] += delta.text
                    if delta.index == 0 and isinstance(delta.logprobs, ChatLogprobs):
                        run.logprobs.append(delta.logprobs)
                run.texts = list(texts)
                run.num_generated_tokens = generation.completion_tokens
                if not generation.is_finished:
                    self._on_change(run)
        finally:
            await generation.aclose()


def _chunks(runs: Sequence[RowRun], size: int) -> Iterator[Sequence[RowRun]]:
    rows = iter(runs)
    while together := list(itertools.islice(rows, size)):
        yield together
