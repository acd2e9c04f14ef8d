"""Options that engines for real models share: chat templates, sampling defaults, adapters. Each class is one group, for
an engine's options type to inherit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mock_server.engine.base import SAMPLING
from mock_server.engine.dtypes import FULL_NAMES
from mock_server.engine.errors import EngineOptionError
from mock_server.engine.lora_ranks import LEAST_MAX_RANK
from mock_server.engine.options import (
    ADAPTERS,
    ANSWERS,
    ENGINE,
    JSON_OBJECT,
    MODEL,
    POSITIVE,
    SIZE,
    SWITCH,
    TEXT,
    CommonOptions,
    option,
    own_names,
)
from mock_server.engine.wording import Setting


@dataclass(frozen=True, kw_only=True)
class TemplateOptions(CommonOptions):
    """`commands` reads the template that they name, and the engine gets it with the model."""

    template_type: str | None = option(
        TEXT, MODEL, "Chat template by type. [default: the tokenizer's own]", metavar="NAME"
    )
    chat_template: str | None = option(
        TEXT, MODEL, "Chat template in Jinja: a file, or the template itself.", metavar="FILE"
    )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(CommonOptions):
    """Sampling parameters for requests that do not set them."""

    max_new_tokens: int | None = option(
        POSITIVE,
        ANSWERS,
        "Maximum number of tokens in an answer. [default: the rest of the context for chats, 16 for completions]",
    )
    temperature: float | None = option(
        SAMPLING["temperature"], ANSWERS, "Sampling temperature; 0 is greedy. [default: the model's]"
    )
    top_p: float | None = option(SAMPLING["top_p"], ANSWERS, "Nucleus sampling. [default: the model's]")
    top_k: int | None = option(
        SAMPLING["top_k"], ANSWERS, "Sample from this many likeliest tokens. [default: the model's]"
    )
    repetition_penalty: float | None = option(
        SAMPLING["repetition_penalty"], ANSWERS, "Above 1 discourages repetition. [default: the model's]"
    )
    do_sample: bool | None = option(SWITCH, ANSWERS, "Sample the answer; false is greedy.")

    def sampling_defaults(self, override: Mapping[str, Any] | None) -> dict[str, Any]:
        """Replacements for the model's own defaults, including those of `override`.

        Raises `EngineOptionError`.
        """
        defaults = dict(override or {})
        said = {name: getattr(self, name) for name in own_names(SamplingOptions)}
        said = {name: value for name, value in said.items() if value is not None and name != "do_sample"}
        if self.do_sample is False:
            if said.get("temperature"):
                temperature = Setting("temperature", f"{said['temperature']:g}")
                raise EngineOptionError(Setting("do_sample", False), " is greedy, ", temperature, " is not: keep one")
            said["temperature"] = 0.0
        for name, value in said.items():
            if defaults.get(name, value) != value:
                raise EngineOptionError(
                    Setting("override_generation_config"),
                    " and ",
                    Setting(name),
                    f" disagree about {name}: keep one of them",
                )
        return {**defaults, **said}


@dataclass(frozen=True, kw_only=True)
class DefaultsOptions(CommonOptions):
    """Where sampling parameters come from that neither the request nor `SamplingOptions` set."""

    generation_config: str | None = option(
        TEXT, ANSWERS, "Source of the defaults: auto (the model), vllm (neutral), or a folder.", metavar="NAME"
    )
    override_generation_config: Mapping[str, Any] | None = option(
        JSON_OBJECT, ANSWERS, "Sampling defaults that override the model's."
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions(CommonOptions):
    """How the model is read, and in which precision it runs."""

    dtype: str | None = option(
        TEXT, MODEL, f"auto, {', '.join(FULL_NAMES.values())}, or {', '.join(FULL_NAMES)}.", metavar="NAME"
    )
    kv_cache_memory_bytes: int | None = option(SIZE, ENGINE, "Memory of the KV cache: 512M, 4G.")
    trust_remote_code: bool | None = option(SWITCH, MODEL, "Run code that comes with the model.")
    tokenizer: str | None = option(TEXT, MODEL, "Tokenizer to use instead of the model's.", metavar="ID|DIR")
    revision: str | None = option(TEXT, MODEL, "Revision of the model on the hub.", metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class LoraOptions(CommonOptions):
    """How adapters are served. None: as many, and of as high a rank, as the named adapters need."""

    enable_lora: bool | None = option(
        SWITCH, ADAPTERS, "Serve adapters. [default: if one is named]", aliases=("--vllm-enable-lora",)
    )
    max_loras: int | None = option(
        POSITIVE, ADAPTERS, "Maximum number of adapters in one batch. [default: as many as are named]"
    )
    max_lora_rank: int | None = option(
        POSITIVE,
        ADAPTERS,
        f"Largest rank of an adapter. [default: what the adapters need, at least {LEAST_MAX_RANK}]",
        aliases=("--vllm-max-lora-rank",),
    )
