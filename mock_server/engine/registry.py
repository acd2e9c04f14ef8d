"""Engines by name. Each is a module and a factory, imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from mock_server.engine.base import Adapter, Engine
from streamgauge.nearest import did_you_mean

ENGINES = {
    "vllm": "mock_server.engine.vllm.factory:make_vllm",
    "sim": "mock_server.engine.sim.factories:make_simulated",
    "scripted": "mock_server.engine.sim.factories:make_scripted",
}


class EngineOptionError(ValueError):
    """An engine cannot be made from these options; the message names the option and the remedy."""


@dataclass(frozen=True, slots=True)
class LoraOptions:
    """How adapters are to be served; None = as many, and of such rank, as the adapters named need."""

    enabled: bool = False
    adapters: tuple[Adapter, ...] = ()
    max_loras: int | None = None
    max_rank: int | None = None
    self_test: bool = True


@dataclass(frozen=True, slots=True)
class RealModel:
    """A model that is not simulated: its folder or hub id, the engine's own arguments, templates for its chats."""

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    chat_template: str | None = None
    """Instead of the tokenizer's own."""
    fallback_chat_template: str | None = None
    """Where the tokenizer has none."""
    lora: LoraOptions = LoraOptions()


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the command line says about the engine; None = not said."""

    model: str
    profile: str | None = None
    script: str | None = None
    seed: int = 0
    time_scale: float | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    image_tokens: int | None = None
    real: RealModel | None = None


def make_engine(name: str, options: EngineOptions) -> Engine:
    """Raises `EngineOptionError` for an unknown name and for options that do not fit."""
    target = ENGINES.get(name)
    if target is None:
        hint = did_you_mean(name, ENGINES)
        raise EngineOptionError(f"--engine {name} is not known; there are: {', '.join(ENGINES)}.{hint}")
    module, _, factory = target.partition(":")
    make = cast(Callable[[EngineOptions], Engine], getattr(importlib.import_module(module), factory))
    return make(options)
