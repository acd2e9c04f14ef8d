"""Checks that an adapter does not affect requests for the base model in the same batch.

Some builds of vLLM for CPUs apply the last adapter to them. Every request here is forced to generate the same tokens,
so that all positions can be compared: base alone, adapter alone, and both in one batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mock_server.engine.base import Engine, GenerationParams

_PROMPT = "Who are you, and who made you?"
_NUM_TOKENS = 6
_ROWS_EACH = 2


async def base_rows_are_clean(engine: Engine, adapter: str) -> bool:
    """False if base rows beside the adapter are closer to the adapter than to the base alone."""
    prompt = await engine.tokenize(_PROMPT)
    base_alone = await _logprobs(engine, prompt, None, 0)
    adapter_alone = await _logprobs(engine, prompt, adapter, 0)
    rows = [None, adapter] * _ROWS_EACH
    mixed = await asyncio.gather(*(_logprobs(engine, prompt, row, 1 + k) for k, row in enumerate(rows)))
    beside = [logprobs for row, logprobs in zip(rows, mixed, strict=True) if row is None]
    return all(distance(row, base_alone) <= distance(row, adapter_alone) for row in beside)


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(abs(left - right) for left, right in zip(one, other, strict=True))


async def _logprobs(engine: Engine, prompt: Sequence[int], adapter: str | None, number: int) -> list[float]:
    """The log probability of each token of a fixed continuation."""
    params = GenerationParams(
        max_tokens=_NUM_TOKENS,
        temperature=0,
        ignore_eos=True,
        logprobs=0,
        allowed_token_ids=(prompt[-1],),
        final_only=True,
    )
    stream = await engine.generate(prompt, params, request_id=f"adapter-check-{adapter}-{number}", adapter=adapter)
    try:
        positions = [position async for batch in stream for delta in batch for position in delta.logprobs or ()]
        return [position.chosen.logprob for position in positions]
    finally:
        await stream.aclose()
