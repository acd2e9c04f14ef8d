"""Engines by name. Each is a module and a factory, imported when it is asked for."""

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from .base import Engine

ENGINES = {
    "sim": "mock_server.engine.factories:make_simulated",
    "scripted": "mock_server.engine.factories:make_scripted",
}


class EngineOptionError(ValueError):
    """An engine cannot be made from these options; the message names the option and the remedy."""


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


def make_engine(name: str, options: EngineOptions) -> Engine:
    """Raises `EngineOptionError` for an unknown name and for options that do not fit."""
    target = ENGINES.get(name)
    if target is None:
        near = difflib.get_close_matches(name, ENGINES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise EngineOptionError(f"--engine {name} is not known; there are: {', '.join(ENGINES)}.{hint}")
    module, _, factory = target.partition(":")
    make = cast(Callable[[EngineOptions], Engine], getattr(importlib.import_module(module), factory))
    return make(options)
