"""A request inside the engine, and its rows: one sequence each, which the batch computes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from mock_server.engine.base import Delta, FinishReason, PositionLogprobs
from mock_server.engine.transformers.sampling import Sampler, Sampling

BASE = "__base__"
"""The name by which peft knows rows without an adapter."""


@dataclass(slots=True, eq=False)
class BatchRequest:
    """What the batch needs of a request."""

    prompt_ids: Sequence[int]
    sampling: Sampling
    seed: str
    max_tokens: int
    """The answer ends after so many tokens, which fit the context."""
    num_rows: int = 1
    adapter: str = BASE
    prompt_logprobs: int | None = None
    is_cancelled: bool = False
    """Set from another thread or by a failure: its rows leave before the next step."""

    def rows(self) -> list[Row]:
        return [Row(self, choice) for choice in range(self.num_rows)]


_numbers = itertools.count()


@dataclass(slots=True, eq=False)
class Row:
    """One choice. `ids` has the prompt and what was generated so far."""

    request: BatchRequest
    choice: int
    ids: list[int] = field(init=False)
    sampler: Sampler = field(init=False)
    number: int = field(init=False)
    """Rows that came later have larger ones."""

    def __post_init__(self) -> None:
        self.ids = list(self.request.prompt_ids)
        seed = f"{self.request.seed}/{self.choice}"
        self.sampler = Sampler(self.request.sampling, self.request.prompt_ids, seed)
        self.number = next(_numbers)

    @property
    def num_generated(self) -> int:
        return len(self.ids) - len(self.request.prompt_ids)

    def gain(self, token_id: int, logprobs: PositionLogprobs | None) -> Delta:
        """Adds a token, and returns it with the reason why the row ends with it, if it does."""
        self.ids.append(token_id)
        self.sampler.note(token_id)
        reason: FinishReason | None = None
        if token_id in self.request.sampling.stop_ids:
            reason = "stop"
        elif self.num_generated >= self.request.max_tokens:
            reason = "length"
        return Delta(self.choice, (token_id,), reason, None if logprobs is None else (logprobs,))
