"""Inference in this process, as on ms-swift's page about vLLM: an engine, a template, lists of requests.

Nothing here needs vLLM before an engine is made.
"""

from __future__ import annotations

from mock_server.engine.errors import AdapterError, EngineDeadError, EngineError, EngineStartError
from mock_server.offline.engine import LocalEngine, get_vllm_engine
from mock_server.offline.generation_config import GenerationConfig
from mock_server.offline.inference import inference_stream_vllm, inference_vllm
from mock_server.offline.lora import LoRARequest
from mock_server.offline.model_type import ModelType, get_default_template_type
from mock_server.offline.rows import FailedResponse, InferRequest, InferResponse, RowsFailedError
from mock_server.offline.template import Template, get_template

__all__ = [
    "AdapterError",
    "EngineDeadError",
    "EngineError",
    "EngineStartError",
    "FailedResponse",
    "GenerationConfig",
    "InferRequest",
    "InferResponse",
    "LoRARequest",
    "LocalEngine",
    "ModelType",
    "RowsFailedError",
    "Template",
    "get_default_template_type",
    "get_template",
    "get_vllm_engine",
    "inference_stream_vllm",
    "inference_vllm",
]
