"""The requests under way, from their admission to their end, and what was counted of them. Runs in the event loop."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mock_server.engine.base import EngineStats, GenerationParams
from mock_server.engine.delta_queue import DeltaQueue
from mock_server.engine.errors import EngineError
from mock_server.engine.hf.adapters import LoadedAdapter, ServedAdapters
from mock_server.engine.outbox import Outbox
from mock_server.engine.transformers.life import CoreLife
from mock_server.engine.transformers.outcome import Outcome
from mock_server.engine.transformers.request_params import RequestReader
from mock_server.engine.transformers.row import BASE, BatchRequest


@dataclass(slots=True, eq=False)
class _UnderWay:
    """`num_copies` is the number of identical choices, of which one is computed."""

    queue: DeltaQueue
    adapter: LoadedAdapter | None
    num_copies: int
    waiting: set[int]
    """Choices whose prompt has not been begun."""
    running: set[int] = field(default_factory=set)


class TransformersRequests:
    """`reader` turns parameters into what the batch needs. `seed` is for requests without one."""

    def __init__(self, life: CoreLife, adapters: ServedAdapters, reader: RequestReader, seed: int) -> None:
        self._life = life
        self._adapters = adapters
        self._reader = reader
        self._seed = seed
        self._numbers = itertools.count()
        self._outbox = Outbox()
        self._under_way: dict[BatchRequest, _UnderWay] = {}
        self._requests = self._prompt_tokens = self._generated_tokens = self._steps = 0

    async def start(
        self, prompt_token_ids: Sequence[int], params: GenerationParams, *, adapter: str | None
    ) -> DeltaQueue:
        """Raises an `EngineError` if the request is wrong or the core cannot serve."""
        seed = f"{self._seed}+{next(self._numbers)}" if params.seed is None else str(params.seed)
        request = await self._reader.read(prompt_token_ids, params, seed)
        core = self._life.running
        loaded = None if adapter is None else self._adapters.acquire(adapter)
        request.adapter = BASE if loaded is None else str(loaded.request)
        queue = DeltaQueue(
            params.n,
            lambda: self._cancel(request),
            final_only=params.final_only,
            top_logprobs=params.logprobs,
            outbox=self._outbox,
        )
        queue.queued_at = time.monotonic()
        num_copies = params.n if request.num_rows == 1 else 1
        self._under_way[request] = _UnderWay(queue, loaded, num_copies, set(range(request.num_rows)))
        self._requests += 1
        self._prompt_tokens += len(prompt_token_ids)
        core.submit(request)
        return queue

    def take(self, outcome: Outcome) -> None:
        """Hands over what a step has brought."""
        self._steps += 1
        for request, choice, at in outcome.started:
            self._start_choice(request, choice, at)
        for request, positions in outcome.weighed:
            if (found := self._under_way.get(request)) is not None:
                found.queue.prompt_logprobs = positions
        for request, delta in outcome.gained:
            found = self._under_way.get(request)
            if found is None:  # cancelled during the step
                continue
            for copy in range(found.num_copies):
                found.queue.put(delta if not copy else delta._replace(choice=copy))
            self._generated_tokens += len(delta.token_ids) * found.num_copies
            if delta.finish_reason is not None:
                found.running.discard(delta.choice)
                if not found.running and not found.waiting:
                    self._end(request)
        for request, error in outcome.failed:
            self._fail(request, error)

    def _start_choice(self, request: BatchRequest, choice: int, at: float) -> None:
        found = self._under_way.get(request)
        if found is None:
            return
        found.waiting.discard(choice)
        found.running.add(choice)
        for copy in range(found.num_copies):
            found.queue.schedule(choice + copy, at)

    def fail_all(self, error: EngineError) -> None:
        """The core will compute nothing more."""
        for request in list(self._under_way):
            self._fail(request, error)

    def _fail(self, request: BatchRequest, error: EngineError) -> None:
        found = self._end(request)
        if found is not None:
            found.queue.fail(error)

    def _cancel(self, request: BatchRequest) -> None:
        request.is_cancelled = True
        if self._end(request) is not None and self._life.core is not None:
            self._life.core.wake()

    def _end(self, request: BatchRequest) -> _UnderWay | None:
        found = self._under_way.pop(request, None)
        if found is not None and found.adapter is not None:
            self._adapters.release(found.adapter)
        return found

    def stats(self) -> EngineStats:
        under_way = self._under_way.values()
        return EngineStats(
            running=sum([len(each.running) for each in under_way]),
            waiting=sum([len(each.waiting) for each in under_way]),
            requests=self._requests,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens,
            steps=self._steps,
        )
