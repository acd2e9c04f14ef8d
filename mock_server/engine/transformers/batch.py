"""Continuous batching, step by step: prompts are computed one by one and in pieces, then all rows run in one batch.

transformers has a continuous batching of its own (`generation/continuous_batching`, as of 5.19). It was not taken,
because it knows no adapters, draws all rows from one seed and with the processors of one configuration, ranks no log
probabilities and weighs no prompts. Its paged cache also needs the mask of all rows against all tokens unless a GPU
has flash attention, which on CPUs costs more than the padding here does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from mock_server.engine.base import PositionLogprobs
from mock_server.engine.errors import EngineError
from mock_server.engine.transformers.alignment import Room
from mock_server.engine.transformers.cache import BatchCache
from mock_server.engine.transformers.outcome import Outcome, Started
from mock_server.engine.transformers.roster import Roster
from mock_server.engine.transformers.row import BatchRequest, Row
from mock_server.engine.transformers.sampling import BadLogitsError, check_number, position_logprobs

if TYPE_CHECKING:
    from mock_server.engine.transformers.model import CausalModel

_WEIGHED_TOKENS = 64
"""The logits of so many positions are in memory at the same time."""
_log = logging.getLogger(__name__)


class _Prefill:
    """A prompt of which a part is computed."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.cache = DynamicCache()  # without sliding windows, as in the batch: masks limit what a layer sees
        top = row.request.prompt_logprobs
        self.weighed: list[PositionLogprobs | None] | None = None if top is None or row.num_generated else [None]

    @property
    def num_left(self) -> int:
        return len(self.row.ids) - int(self.cache.get_seq_length())

    def compute(self, model: CausalModel, most_tokens: int) -> torch.Tensor:
        """Computes the next piece. Returns the logits of its last position."""
        begin = int(self.cache.get_seq_length())
        is_weighed = self.weighed is not None
        piece = self.row.ids[begin : begin + (min(most_tokens, _WEIGHED_TOKENS) if is_weighed else most_tokens)]
        adapter = self.row.request.adapter
        logits = model.prefill(piece, self.cache, adapter, num_logits=len(piece) if is_weighed else 1)
        if self.weighed is not None:
            following = self.row.ids[begin + 1 : begin + 1 + len(piece)]
            rows = logits.cpu().numpy()
            top = self.row.request.prompt_logprobs or 0
            self.weighed += [
                position_logprobs(row, token_id, top) for row, token_id in zip(rows, following, strict=False)
            ]
        return logits[-1:]


class ContinuousBatch:
    """All requests that the model works on. A step computes about `step_tokens` tokens of prompts at most, so that rows
    that run do not wait long, and then one token of each row.

    Pieces of a prompt are always the same, so an answer does not depend on what else runs.
    """

    def __init__(self, model: CausalModel, room: Room, step_tokens: int) -> None:
        self._model = model
        self._roster = Roster(room)
        self._step_tokens = step_tokens
        self._prefill: _Prefill | None = None
        self._cache: BatchCache | None = None

    @property
    def is_idle(self) -> bool:
        return self._prefill is None and self._roster.is_empty

    def add(self, request: BatchRequest) -> None:
        self._roster.add(request)

    def step(self) -> Outcome:
        """Raises whatever the model raises for the batch. A prompt that fails fails its request alone."""
        outcome = Outcome()
        self.drop_cancelled()
        self._compute_prompts(outcome)
        self._compute_batch(outcome)
        return outcome

    def drop_cancelled(self) -> None:
        if self._prefill is not None and self._prefill.row.request.is_cancelled:
            self._prefill = None
        for place in self._roster.drop_cancelled():
            self._remove(place)

    def _compute_prompts(self, outcome: Outcome) -> None:
        budget = self._step_tokens
        while budget > 0:
            prefill = self._prefill or self._begin(outcome)
            if prefill is None:
                return
            budget -= min(prefill.num_left, self._step_tokens)
            try:
                logits = prefill.compute(self._model, self._step_tokens)
            except Exception as error:
                _log.exception("the engine failed a request")
                self._prefill = None
                self._fail(prefill.row.request, error, outcome)
                continue
            if not prefill.num_left:
                self._prefill = None
                self._enter(prefill, logits, outcome)

    def _begin(self, outcome: Outcome) -> _Prefill | None:
        row = self._roster.take_next()
        if row is None:
            return None
        if not row.num_generated:
            outcome.started.append(Started(row.request, row.choice, time.monotonic()))
        self._prefill = _Prefill(row)
        return self._prefill

    def _enter(self, prefill: _Prefill, logits: torch.Tensor, outcome: Outcome) -> None:
        """The row and its siblings with the same prompt get their first tokens and join the batch."""
        row, cache = prefill.row, prefill.cache
        if prefill.weighed is not None:
            outcome.weighed.append((row.request, prefill.weighed))
        self._join(row, cache, logits, outcome)
        for sibling in self._roster.siblings(row):
            outcome.started.append(Started(sibling.request, sibling.choice, time.monotonic()))
            self._join(sibling, cache, logits, outcome)

    def _join(self, row: Row, cache: DynamicCache, logits: torch.Tensor, outcome: Outcome) -> None:
        if not self._gain([row], logits, outcome)[0]:
            return
        if self._cache is None:
            self._cache = BatchCache(cache)
        self._cache.join(cache)
        self._roster.running.append(row)

    def _compute_batch(self, outcome: Outcome) -> None:
        self._make_room()
        rows = self._roster.running
        if self._cache is None or not rows:
            return
        adapters = [row.request.adapter for row in rows]
        logits = self._model.decode([row.ids[-1] for row in rows], self._cache, adapters)
        continues = self._gain(rows, logits, outcome)
        for place in reversed(range(len(rows))):
            if not continues[place]:
                self._remove(place)

    def _make_room(self) -> None:
        while (row := self._roster.last_come()) is not None:
            self._remove(self._roster.running.index(row))
            self._roster.put_back(row)

    def _gain(self, rows: Sequence[Row], logits: torch.Tensor, outcome: Outcome) -> list[bool]:
        """Each row gets a token by its logits. Returns whether it continues."""
        continues = []
        for row, choose in zip(rows, _choices(rows, logits), strict=True):
            try:
                delta = row.gain(*choose())
            except Exception as error:
                if not isinstance(error, BadLogitsError):
                    _log.exception("the engine failed a request")
                self._fail(row.request, error, outcome)
                continues.append(False)
                continue
            outcome.gained.append((row.request, delta))
            continues.append(delta.finish_reason is None)
        return continues

    def _remove(self, place: int) -> None:
        self._roster.remove(place)
        if self._roster.running and self._cache is not None:
            self._cache.leave(place)
        else:
            self._cache = None

    @staticmethod
    def _fail(request: BatchRequest, error: Exception, outcome: Outcome) -> None:
        request.is_cancelled = True
        reason = str(error) if isinstance(error, BadLogitsError) else "see the server's log"
        outcome.failed.append((request, EngineError(f"the engine failed: {reason}")))


def _choices(rows: Sequence[Row], logits: torch.Tensor) -> Iterator[Callable[[], tuple[int, PositionLogprobs | None]]]:
    """For each row a function that chooses its token. The likeliest tokens are found for all rows at once."""
    plain = [row.request.sampling.is_plain for row in rows]
    highest, likeliest = (each.tolist() for each in logits.max(-1)) if any(plain) else ([], [])
    arrays = None if all(plain) else logits.cpu().numpy()
    for place, row in enumerate(rows):
        if arrays is None or plain[place]:
            yield partial(_likeliest, likeliest[place], highest[place])
        else:
            yield partial(row.sampler.choose, arrays[place])


def _likeliest(token_id: int, logit: float) -> tuple[int, None]:
    check_number(logit)
    return token_id, None
