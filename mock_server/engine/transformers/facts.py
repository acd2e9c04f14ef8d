"""What was found out about a model when it was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """`version` is that of transformers. `cache_cells` is how many tokens the KV cache has room for."""

    version: str
    device: str
    dtype: str
    max_model_len: int
    vocab_size: int
    eos_ids: frozenset[int]
    cache_cells: int
    default_max_tokens: int | None
    sampling_defaults: Mapping[str, Any]
    """Those of the model's generation_config.json and of the options, under the names of `GenerationParams`."""
