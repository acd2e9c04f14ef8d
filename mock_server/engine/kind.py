"""What an engine's package brings for the registry: the type of its options, and how it is made from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from mock_server.engine.base import Adapter, Engine
from mock_server.engine.options import AnyOptions
from mock_server.engine.wording import Part, Setting


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What an engine serves. `path` is a folder or a hub id, empty for a model that is simulated."""

    name: str
    path: str = ""
    chat_template: str | None = None
    """Used instead of the tokenizer's own."""
    fallback_chat_template: str | None = None
    """Used if the tokenizer has none."""
    adapters: tuple[Adapter, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineKind(Generic[AnyOptions]):
    """A kind of engine. The module that defines it is imported for `--help`, so it must be light: `make` imports the
    engine.
    """

    options: type[AnyOptions]
    make: Callable[[ServedModel, AnyOptions], Engine]
    """Raises `EngineOptionError`, `EngineStartError` and `AdapterError`."""
    runs_models: bool = False
    """Whether it needs a real model, and chat templates, adapters and the rest are the model's."""
    backend: str | None = None
    """Its name in ms-swift's `--infer-backend`."""
    has_stray_output: bool = False
    """Whether its libraries and processes write past the log."""


def needs_model(engine: str) -> tuple[Part, ...]:
    """The message for an engine that has no model to run."""
    model_type, path, ckpt_dir = map(Setting, ("model_type", "model_id_or_path", "ckpt_dir"))
    return (Setting("engine", engine), " needs a model: ", model_type, ", ", path, " or ", ckpt_dir)
