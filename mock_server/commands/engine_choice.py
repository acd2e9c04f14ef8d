"""Chooses the engine: the one that the options name, else the one that the model needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mock_server.commands.wrong_use import DeployError
from mock_server.engine.kind import EngineKind
from mock_server.engine.registry import ENGINES, FOR_MODELS, WITHOUT_MODEL, find_kind
from mock_server.engine.wording import Setting
from streamgauge.nearest import did_you_mean

NATIVE = "native"
"""Not an engine: `vllm serve` replaces this server. It takes the options of vLLM."""
NAMES = (*ENGINES, NATIVE)
MODEL_OPTIONS = ("model_type", "model_id_or_path", "ckpt_dir")

_OF_NATIVE = "vllm"


def kind_of(name: str) -> EngineKind[Any]:
    """`name` is one of `NAMES`."""
    return find_kind(_OF_NATIVE if name == NATIVE else name)


BACKENDS = {kind.backend: name for name in ENGINES if (kind := kind_of(name)).backend is not None}
"""Engines by ms-swift's names."""


def choose_engine(options: Mapping[str, Any]) -> str:
    """Never simulates a model that is named, unless the options ask for it. Raises `DeployError`."""
    engine: str | None = options["engine"]
    backend: str | None = options["infer_backend"]
    by_backend = None if backend is None else _engine_of(backend)
    if engine is not None and by_backend is not None and engine != by_backend:
        by_name = Setting("infer_backend", backend)
        raise DeployError(Setting("engine", engine), " and ", by_name, " contradict each other: leave one out")
    is_named = any(options[name] is not None for name in MODEL_OPTIONS)
    chosen = engine or by_backend or (FOR_MODELS if is_named else WITHOUT_MODEL)
    if chosen in NAMES:
        return chosen
    raise DeployError(
        Setting("engine", chosen), f" is not known; there are: {', '.join(NAMES)}.{did_you_mean(chosen, NAMES)}"
    )


def _engine_of(backend: str) -> str | None:
    known = {"auto": None, **BACKENDS}
    if backend.lower() not in known:
        raise DeployError(Setting("infer_backend", backend), f" is not known; there are: {', '.join(known)}")
    return known[backend.lower()]
