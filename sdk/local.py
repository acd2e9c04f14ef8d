"""Inference in this process, without a server: the names of `mock_server.offline`, each imported on first use.

Only this module of the package knows about the server, and `import sdk` does not import it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mock_server.offline import (
        AdapterError,
        EngineDeadError,
        EngineError,
        EngineStartError,
        GenerationConfig,
        LocalEngine,
        LoRARequest,
        ModelType,
        RowsFailedError,
        get_default_template_type,
        get_template,
        get_vllm_engine,
        inference_stream_vllm,
        inference_vllm,
    )

__all__ = [
    "AdapterError",
    "EngineDeadError",
    "EngineError",
    "EngineStartError",
    "GenerationConfig",
    "LoRARequest",
    "LocalEngine",
    "ModelType",
    "RowsFailedError",
    "get_default_template_type",
    "get_template",
    "get_vllm_engine",
    "inference_stream_vllm",
    "inference_vllm",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'sdk.local' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module("mock_server.offline"), name)
    return value
