"""Turns the keyword arguments of `get_vllm_engine` into a model and vLLM's engine arguments."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from mock_server.engine.errors import EngineOptionError
from mock_server.engine.lora_ranks import check_max_rank
from mock_server.engine.vllm.options import EXECUTORS
from mock_server.engine.wording import Setting
from mock_server.models.source import DEFAULT_ADAPTER, AdapterGivenError, ModelSource, ModelSourceError, find_model
from streamgauge.nearest import did_you_mean

KEYWORDS = frozenset(
    {
        "model_type",
        "model_id_or_path",
        "revision",
        "gpu_memory_utilization",
        "tensor_parallel_size",
        "max_num_seqs",
        "max_model_len",
        "enforce_eager",
        "limit_mm_per_prompt",
        "enable_lora",
        "max_loras",
        "max_lora_rank",
        "lora_self_test",
    }
)
"""Arguments of `get_vllm_engine` that messages name. Others belong in `engine_kwargs`."""


def read_source(model_type: str | None, model_id_or_path: str | None) -> ModelSource:
    """Raises `ValueError`, `TypeError`."""
    if model_type is not None and not isinstance(model_type, str):
        raise TypeError(f"model_type must be one of ModelType, or None (got {model_type!r})")
    if model_id_or_path == "":
        raise ValueError("model_id_or_path must not be empty: name a folder or a hub id, or leave it out")
    try:
        source = find_model(model_type=model_type, model_id_or_path=model_id_or_path)
    except AdapterGivenError as error:
        raise ValueError(
            f"model_id_or_path {error.folder} is an adapter: name its base model here, and the adapter in each call"
            f" with lora_request=LoRARequest({DEFAULT_ADAPTER!r}, 1, {str(error.folder)!r})"
        ) from None
    except ModelSourceError as error:
        raise ValueError(error.spelled(as_keyword)) from None
    if source is None:
        raise ValueError("name a model: a model_type (see ModelType), or a folder or hub id with model_id_or_path")
    return source


def engine_arguments(named: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """vLLM's arguments that were given. Raises `ValueError`, `TypeError`, and `ImportError` for a missing backend."""
    arguments = {name: value for name, value in named.items() if value is not None}
    for name, value in others.items():
        if arguments.get(name, value) != value:
            raise ValueError(
                f"engine_kwargs has {name!r} = {value!r}, and {name} is {arguments[name]!r}: keep one of them"
            )
        arguments[name] = value
    for name in ("tensor_parallel_size", "max_num_seqs", "max_loras"):
        check_at_least_one(name, arguments.get(name))
    _check_backend(arguments.get("distributed_executor_backend"))
    arguments.setdefault("disable_log_stats", True)
    return arguments


def _check_backend(backend: Any) -> None:
    """Checks names of backends. vLLM finds classes and their dotted names. Raises `ValueError`, `ImportError`."""
    if isinstance(backend, str) and backend not in EXECUTORS and "." not in backend:
        raise ValueError(
            f"distributed_executor_backend must be one of {', '.join(EXECUTORS)} (got {backend!r})."
            f"{did_you_mean(backend, EXECUTORS)}"
        )
    if backend == "ray" and find_spec("ray") is None:
        raise ImportError(
            "distributed_executor_backend='ray' needs Ray, which is not installed: pip install ray. Ranks on one"
            " machine do not need it: leave it out."
        )


def check_at_least_one(name: str, value: Any) -> None:
    """Accepts a whole number of at least 1, or None. Raises `TypeError`, `ValueError`."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number (got {value!r})")
    if value < 1:
        raise ValueError(f"{name} must be at least 1 (got {value})")


def lora_arguments(*, max_loras: int, max_rank: int) -> dict[str, Any]:
    """Raises `ValueError`."""
    try:
        check_max_rank(max_rank)
    except EngineOptionError as error:
        raise ValueError(error.spelled(as_keyword)) from None
    return {"enable_lora": True, "max_loras": max_loras, "max_lora_rank": max_rank}


def as_keyword(setting: Setting) -> str:
    """A setting in a message, as an argument of `get_vllm_engine`."""
    if setting.value is None:
        return setting.name if setting.name in KEYWORDS else f"engine_kwargs[{setting.name!r}]"
    if setting.name in KEYWORDS:
        return f"{setting.name}={setting.value!r}"
    return f"engine_kwargs={{{setting.name!r}: {setting.value!r}}}"
