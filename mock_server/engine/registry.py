"""Engines by name. Each row names the `EngineKind` of an engine's package, which is imported on demand.

A new engine is a package with such a kind, and a row here.
"""

from __future__ import annotations

import importlib
from typing import Any, cast

from mock_server.engine.base import Engine
from mock_server.engine.errors import EngineOptionError
from mock_server.engine.kind import EngineKind, ServedModel
from mock_server.engine.options import CommonOptions
from mock_server.engine.wording import Setting
from streamgauge.nearest import did_you_mean

ENGINES = {
    "vllm": "mock_server.engine.vllm.kind:VLLM",
    "transformers": "mock_server.engine.transformers.kind:TRANSFORMERS",
    "sim": "mock_server.engine.sim.kinds:SIMULATED",
    "scripted": "mock_server.engine.sim.kinds:SCRIPTED",
}
FOR_MODELS = "vllm"
"""The engine for a model that is named without an engine."""
WITHOUT_MODEL = "sim"
"""The engine where neither is named."""


def find_kind(name: str) -> EngineKind[Any]:
    """Raises `EngineOptionError` for an unknown name."""
    if name not in ENGINES:
        raise EngineOptionError(
            Setting("engine", name), f" is not known; there are: {', '.join(ENGINES)}.{did_you_mean(name, ENGINES)}"
        )
    module, _, attribute = ENGINES[name].partition(":")
    return cast(EngineKind[Any], getattr(importlib.import_module(module), attribute))


def make_engine(name: str, model: ServedModel, options: CommonOptions | None = None) -> Engine:
    """`options` is an instance of the engine's `options` type. None means its defaults.

    Raises `EngineOptionError` for an unknown name and for options that do not fit.
    """
    kind = find_kind(name)
    return kind.make(model, kind.options() if options is None else options)
