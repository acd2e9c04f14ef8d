"""The options of transformers' engine, and what its model is loaded with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mock_server.engine.dtypes import FULL_NAMES, dtype_name
from mock_server.engine.errors import EngineOptionError
from mock_server.engine.model_options import (
    DefaultsOptions,
    LoraOptions,
    ModelOptions,
    SamplingOptions,
    TemplateOptions,
)
from mock_server.engine.options import TEXT, OneOf, option
from mock_server.engine.wording import Setting

_TRANSFORMERS = "transformers"
_DTYPES = ("auto", *FULL_NAMES.values())
_MAX_NUM_SEQS = 64
_STEP_TOKENS = {"cpu": 256}
_STEP_TOKENS_ELSEWHERE = 2_048
NEUTRAL = "vllm"
"""The word for sampling defaults that are not the model's."""


@dataclass(frozen=True, slots=True)
class ModelArguments:
    """What the engine starts with. None: what fits the model and the machine."""

    model: str
    dtype: str = "auto"
    device: str | None = None
    attn_implementation: str | None = None
    max_model_len: int | None = None
    max_num_seqs: int = _MAX_NUM_SEQS
    max_num_batched_tokens: int | None = None
    kv_cache_memory_bytes: int | None = None
    trust_remote_code: bool = False
    tokenizer: str | None = None
    revision: str | None = None
    generation_config: str | None = None
    """A folder or a hub id, `NEUTRAL`, or None for the model's own."""
    sampling_defaults: Mapping[str, Any] = field(default_factory=dict)
    """They override the model's; under the names of `GenerationParams`, and `max_new_tokens`."""
    seed: int = 0

    def step_tokens(self, device: str) -> int:
        """About how many tokens of prompts a step computes."""
        return self.max_num_batched_tokens or _STEP_TOKENS.get(device, _STEP_TOKENS_ELSEWHERE)


@dataclass(frozen=True, kw_only=True)
class TransformersOptions(TemplateOptions, SamplingOptions, DefaultsOptions, LoraOptions, ModelOptions):
    """Raises `EngineOptionError` for options that contradict each other, and for an unknown dtype."""

    device: str | None = option(
        TEXT, _TRANSFORMERS, "cpu, cuda, cuda:1 … [default: cuda if there is one, else cpu]", metavar="NAME"
    )
    attn_implementation: str | None = option(
        OneOf(("sdpa", "eager")), _TRANSFORMERS, "How attention is computed. [default: sdpa]"
    )

    def __post_init__(self) -> None:
        self.arguments("")

    def arguments(self, model: str) -> ModelArguments:
        """For the model in this folder or of this hub id."""
        dtype = dtype_name(self.dtype or "auto")
        if dtype not in _DTYPES:
            raise EngineOptionError(Setting("dtype", self.dtype), f" is not known; there are: {', '.join(_DTYPES)}")
        given: dict[str, Any] = {
            "max_num_seqs": self.max_num_seqs,
            "generation_config": None if self.generation_config == "auto" else self.generation_config,
            "trust_remote_code": self.trust_remote_code,
            "seed": self.seed,
        }
        return ModelArguments(
            model=model,
            dtype=dtype,
            device=self.device,
            attn_implementation=self.attn_implementation,
            max_model_len=self.max_model_len,
            max_num_batched_tokens=self.max_num_batched_tokens,
            kv_cache_memory_bytes=self.kv_cache_memory_bytes,
            tokenizer=self.tokenizer,
            revision=self.revision,
            sampling_defaults=self.sampling_defaults(self.override_generation_config),
            **{name: value for name, value in given.items() if value is not None},
        )
