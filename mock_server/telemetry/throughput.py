"""The statistics line of the log: ms-swift's six keys for the requests that ended since the previous line."""

from __future__ import annotations

import asyncio
import logging
import time

_log = logging.getLogger(__name__)


class Throughput:
    """Counts ended requests. `tokens/s` counts generated tokens only."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._prompt_tokens = self._generated_tokens = self._samples = 0

    def add(self, prompt_tokens: int, generated_tokens: int) -> None:
        self._prompt_tokens += prompt_tokens
        self._generated_tokens += generated_tokens
        self._samples += 1

    def take(self) -> dict[str, float]:
        """The figures since the last call, with times in seconds. Empty if no request ended."""
        now = time.perf_counter()
        runtime_s = now - self._since
        figures: dict[str, float] = {}
        if self._samples:
            figures = {
                "num_prompt_tokens": self._prompt_tokens,
                "num_generated_tokens": self._generated_tokens,
                "num_samples": self._samples,
                "runtime": round(runtime_s, 3),
                "samples/s": round(self._samples / runtime_s, 3),
                "tokens/s": round(self._generated_tokens / runtime_s, 3),
            }
        self._since = now
        self._prompt_tokens = self._generated_tokens = self._samples = 0
        return figures

    async def log_for_ever(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            if figures := self.take():
                _log.info("%s", figures)
