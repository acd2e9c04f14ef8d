"""Counts of requests in progress and of ended ones, as the live view shows them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from bench.load.attempt import Attempt

LATEST = 1000


@dataclass(slots=True)
class Tally:
    """`ttft_ns` are those of the latest answers, `tokens` those up to the last `refresh`."""

    under_way: set[Attempt] = field(default_factory=set)
    ok: int = 0
    failed: int = 0
    tokens: int = 0
    ttft_ns: deque[int] = field(default_factory=lambda: deque(maxlen=LATEST))

    def end(self, attempt: Attempt) -> None:
        """The request is no longer in progress."""
        self.under_way.discard(attempt)
        self.tokens += attempt.answer.take_tokens()

    def refresh(self) -> None:
        """Bring `tokens` up to date."""
        self.tokens += sum(attempt.answer.take_tokens() for attempt in self.under_way)
