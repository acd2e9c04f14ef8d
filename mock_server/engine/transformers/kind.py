"""transformers as a kind of engine."""

from __future__ import annotations

from mock_server.engine.base import Engine
from mock_server.engine.kind import EngineKind, ServedModel
from mock_server.engine.transformers.options import TransformersOptions


def _make(model: ServedModel, options: TransformersOptions) -> Engine:
    from mock_server.engine.transformers.factory import make_transformers

    return make_transformers(model, options)


TRANSFORMERS = EngineKind(TransformersOptions, _make, runs_models=True, backend="pt", has_stray_output=True)
