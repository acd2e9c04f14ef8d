"""vLLM as a kind of engine."""

from __future__ import annotations

from mock_server.engine.base import Engine
from mock_server.engine.kind import EngineKind, ServedModel
from mock_server.engine.vllm.options import VllmOptions


def _make(model: ServedModel, options: VllmOptions) -> Engine:
    from mock_server.engine.vllm.factory import make_vllm

    return make_vllm(model, options)


VLLM = EngineKind(VllmOptions, _make, runs_models=True, backend="vllm", has_stray_output=True)
