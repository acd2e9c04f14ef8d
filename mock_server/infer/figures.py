"""What an answer cost: its tokens, how soon it began, how fast it came."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class AnswerFigures:
    """Times are in seconds since the question was sent. None: not known, or not yet."""

    prompt_tokens: int | None = None
    tokens: int | None = None
    ttft_s: float | None = None
    latency_s: float | None = None
    _asked_at: float = field(default_factory=time.perf_counter)

    def piece_arrived(self) -> None:
        if self.ttft_s is None:
            self.ttft_s = time.perf_counter() - self._asked_at

    def ended(self, prompt_tokens: int | None, tokens: int | None) -> None:
        self.latency_s = time.perf_counter() - self._asked_at
        self.prompt_tokens, self.tokens = prompt_tokens, tokens

    @property
    def tokens_per_s(self) -> float | None:
        """The pace after the first token."""
        if self.tokens is None or self.latency_s is None or self.ttft_s is None or self.tokens < 2:
            return None
        since_first = self.latency_s - self.ttft_s
        return (self.tokens - 1) / since_first if since_first > 0 else None

    def __str__(self) -> str:
        parts = [] if self.tokens is None else [f"{self.tokens:,} token{'s' * (self.tokens != 1)}"]
        if (pace := self.tokens_per_s) is not None:
            parts.append(f"{pace:,.1f} tokens/s")
        if self.ttft_s is not None:
            parts.append(f"TTFT {self.ttft_s:.2f} s")
        return " · ".join(parts)
