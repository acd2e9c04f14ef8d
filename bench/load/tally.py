"""What is under way and how the rest ended, as a live view shows it."""

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
        """It is not under way any more."""
        self.under_way.discard(attempt)
        self.tokens += attempt.answer.take_tokens()

    def refresh(self) -> None:
        """Bring `tokens` up to date."""
        self.tokens += sum(attempt.answer.take_tokens() for attempt in self.under_way)
