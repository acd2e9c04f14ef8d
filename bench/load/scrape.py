"""Reads a server's own counters before and after a load."""

from __future__ import annotations

import asyncio

from bench.load.counters import REQUESTS, growth, read_counters
from bench.records.run import ServerCounters
from bench.target import SDKError, StatusError, Target

# Servers count a request a moment after its last byte, so the bench asks again: how often, and how long between.
_TRIES, _PAUSE_S = 10, 0.1
_LIMIT_S = 5.0


class Scrape:
    """The counters of one model. Call `begin` before the load and `end` after it."""

    def __init__(self, target: Target, model: str) -> None:
        self._target, self._model = target, model
        self._before: dict[str, int] = {}
        self._problem: str | None = None

    async def begin(self) -> None:
        """Read the counters."""
        try:
            self._before = await self._read()
        except (SDKError, ValueError, TimeoutError) as error:
            self._problem = _reason(error)

    async def end(self, requests: int) -> ServerCounters:
        """How much the counters grew, once they include all requests or a second has passed."""
        if self._problem is not None:
            return ServerCounters(problem=self._problem)
        counted = ServerCounters()
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(_PAUSE_S)
            try:
                after = await self._read()
            except (SDKError, ValueError, TimeoutError) as error:
                return ServerCounters(problem=_reason(error))
            counted = growth(self._before, after)
            if REQUESTS not in after or (counted.requests or 0) >= requests:
                break
        return counted

    async def _read(self) -> dict[str, int]:
        async with asyncio.timeout(_LIMIT_S):
            text = await self._target.text("/metrics")
        return read_counters(text, self._model)


def _reason(error: Exception) -> str:
    if isinstance(error, StatusError):
        return f"/metrics answers {error.status}"
    if isinstance(error, TimeoutError):
        return f"/metrics did not answer within {_LIMIT_S:g} s"
    if isinstance(error, SDKError):
        return f"/metrics cannot be read ({error.message})"
    return "/metrics is not in the Prometheus format"
