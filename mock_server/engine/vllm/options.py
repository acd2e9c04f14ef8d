"""The options of vLLM's engine, and how they become its engine arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mock_server.engine.dtypes import dtype_name
from mock_server.engine.errors import EngineOptionError
from mock_server.engine.model_options import (
    DefaultsOptions,
    LoraOptions,
    ModelOptions,
    SamplingOptions,
    TemplateOptions,
)
from mock_server.engine.options import (
    ADAPTERS,
    JSON_OBJECT,
    POSITIVE,
    SWITCH,
    TEXT,
    OneOf,
    option,
    own_names,
)
from mock_server.engine.ranges import Number, Whole
from mock_server.engine.wording import Setting

_VLLM = "vLLM"
_DEVICES = "vLLM on several devices"
EXECUTORS = ("mp", "ray", "uni", "external_launcher")
"""What vLLM runs its ranks with."""


@dataclass(frozen=True, kw_only=True)
class VllmOptions(TemplateOptions, SamplingOptions, DefaultsOptions, LoraOptions, ModelOptions):
    """Raises `EngineOptionError` for options that contradict each other."""

    max_cpu_loras: int | None = option(POSITIVE, ADAPTERS, "Adapters kept in memory, including those in a batch.")
    lora_self_test: bool = option(
        SWITCH,
        ADAPTERS,
        "Refuse adapters that affect the base model's answers in this build of vLLM.",
        default=True,
    )
    quantization: str | None = option(
        TEXT, _VLLM, "gptq, awq, compressed-tensors … [default: the model's]", metavar="NAME"
    )
    gpu_memory_utilization: float | None = option(
        Number(0, 1, low_open=True), _VLLM, "Share of a device's memory to use."
    )
    enforce_eager: bool | None = option(SWITCH, _VLLM, "Do not compile: vLLM is ready sooner, but slower afterwards.")
    enable_prefix_caching: bool | None = option(SWITCH, _VLLM, "Reuse the common beginnings of prompts.")
    load_format: str | None = option(TEXT, _VLLM, "Format of the weights; dummy uses random ones.", metavar="NAME")
    block_size: int | None = option(POSITIVE, _VLLM, "Tokens in a block of the KV cache.")
    cpu_offload_gb: float | None = option(Number(0), _VLLM, "GiB of weights kept in the host's memory.")
    max_logprobs: int | None = option(Whole(-1), _VLLM, "Maximum number of log probabilities per token. [default: 20]")
    scheduling_policy: str | None = option(OneOf(("fcfs", "priority")), _VLLM, "Which requests run first.")
    stream_interval: int | None = option(POSITIVE, _VLLM, "Tokens in each event of a stream.")
    limit_mm_per_prompt: Mapping[str, Any] | None = option(
        JSON_OBJECT, _VLLM, "Maximum number of images, videos and so on in a prompt."
    )
    disable_log_stats: bool | None = option(SWITCH, _VLLM, "Keep no statistics inside vLLM.")
    engine_args: Mapping[str, Any] | None = option(
        JSON_OBJECT, _VLLM, "Any other engine argument of vLLM, by its Python name."
    )
    tensor_parallel_size: int | None = option(POSITIVE, _DEVICES, "Devices that share each layer.")
    pipeline_parallel_size: int | None = option(POSITIVE, _DEVICES, "Groups of devices that share the layers.")
    data_parallel_size: int | None = option(POSITIVE, _DEVICES, "Copies of the model.")
    distributed_executor_backend: str | None = option(
        TEXT, _DEVICES, f"{', '.join(EXECUTORS[:-1])} or {EXECUTORS[-1]}.", metavar="NAME"
    )
    disable_custom_all_reduce: bool | None = option(SWITCH, _DEVICES, "Do not use vLLM's own all-reduce.")

    def __post_init__(self) -> None:
        self.engine_arguments()

    def engine_arguments(self) -> dict[str, Any]:
        """The engine arguments that were given, except those for the model and its adapters."""
        given = {name: getattr(self, name) for name in ENGINE_ARGUMENTS}
        arguments = {name: value for name, value in given.items() if value is not None}
        if self.dtype is not None:
            arguments["dtype"] = dtype_name(self.dtype)
        sampling = self.sampling_defaults(self.override_generation_config)
        if sampling:
            arguments["override_generation_config"] = sampling
        for name, value in (self.engine_args or {}).items():
            name = name.replace("-", "_")
            if name == "model" or arguments.get(name, value) != value:
                said_by = Setting(name)
                raise EngineOptionError(
                    Setting("engine_args"), f" has {name!r}, which ", said_by, " sets too: keep one of them"
                )
            arguments[name] = value
        return arguments


_READ_HERE = {
    *own_names(TemplateOptions),
    *own_names(SamplingOptions),
    *own_names(LoraOptions),
    "override_generation_config",
    "lora_self_test",
    "engine_args",
}
ENGINE_ARGUMENTS = tuple(field.name for field in fields(VllmOptions) if field.name not in _READ_HERE)
"""Options that are engine arguments of vLLM under the same names."""
