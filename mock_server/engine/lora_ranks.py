"""The limits on the ranks of adapters that vLLM can be started with."""

from __future__ import annotations

from mock_server.engine.errors import AdapterError, EngineOptionError
from mock_server.engine.wording import Setting

MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
LEAST_MAX_RANK = 16
"""The limit unless an adapter needs a higher one."""


def check_max_rank(limit: int) -> None:
    """Raises `EngineOptionError` for a limit that vLLM does not have."""
    if limit not in MAX_RANKS:
        ranks = ", ".join(map(str, MAX_RANKS))
        raise EngineOptionError(Setting("max_lora_rank"), f" must be one of {ranks} (got {limit})")


def smallest_max_rank(rank: int) -> int:
    """Raises `AdapterError` for a rank above the highest limit."""
    for limit in MAX_RANKS:
        if rank <= limit:
            return limit
    raise AdapterError(f"rank {rank} is above {MAX_RANKS[-1]}, the largest that vLLM serves")
