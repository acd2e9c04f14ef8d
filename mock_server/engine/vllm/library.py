"""The parts of vLLM in use, all by exported names. Only this file imports vllm, which takes seconds.

Differences between its releases (0.25 to 0.33) are detected by feature, not by version.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
import vllm
import vllm.exceptions as vllm_exceptions
from prometheus_client import REGISTRY, generate_latest
from vllm import AsyncEngineArgs, AsyncLLMEngine, SamplingParams
from vllm.inputs import tokens_input
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.exceptions import EngineDeadError as VllmDeadError

from mock_server.engine.base import SAMPLING, GenerationParams
from mock_server.engine.call_schema import call_list_schema
from mock_server.engine.dtypes import dtype_name
from mock_server.engine.errors import (
    EngineBusyError,
    EngineDeadError,
    EngineError,
    EngineStartError,
    RequestRefusedError,
)
from mock_server.engine.hf.checkpoint import CONFIG, has_four_bit_weights
from mock_server.engine.hf.host_memory import available_memory_bytes
from mock_server.engine.vllm.environment import cpu_cache_bytes, prepare_cpu
from streamgauge.nearest import did_you_mean

# Since 0.32, the errors that a client causes have one base class; before, they are ValueErrors and two more.
_CLIENT_ERRORS: tuple[type[Exception], ...] = (
    (vllm_exceptions.VLLMClientError,)
    if hasattr(vllm_exceptions, "VLLMClientError")
    else (ValueError, vllm_exceptions.VLLMNotFoundError)
)
_BUSY_ERRORS: tuple[type[Exception], ...] = tuple(
    getattr(vllm_exceptions, name)
    for name in ("GracefulHTTPError", "RetryableRequestError")
    if hasattr(vllm_exceptions, name)
)
# Builds for CPUs up to 0.32 apply the adapter of the last slot to base rows, so this slot stays empty.
_SPARE_SLOTS = 1


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What vLLM found out about the model and itself."""

    version: str
    device: str
    dtype: str
    max_model_len: int
    vocab_size: int
    max_logprobs: int
    default_max_tokens: int | None
    sampling_defaults: Mapping[str, Any]
    """Those of the model's generation_config.json, under the names of vLLM's `SamplingParams`."""
    has_priorities: bool
    has_adapters: bool
    max_adapter_rank: int
    adapter_limit: int | None
    """How many adapters fit concurrently; None if vLLM swaps them on demand."""
    weighs_prompts_alone: bool
    """CPU builds that serve adapters crash if a request for prompt log probabilities runs beside another one."""


class VllmCore:
    """vLLM's asynchronous engine. The constructor starts it, and takes as long as loading the model."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """`arguments` are fields of `AsyncEngineArgs`. Raises `EngineStartError` for an unknown one."""
        arguments = _fitted(_quiet(_known(arguments)))
        _check_four_bits(Path(str(arguments["model"])))
        # vLLM chooses the batch size by it: otherwise, batches are half or an eighth as large as with `vllm serve`
        context = UsageContext.OPENAI_API_SERVER
        self._engine = AsyncLLMEngine.from_engine_args(AsyncEngineArgs(**arguments), usage_context=context)
        model = self._engine.model_config
        self._defaults: dict[str, Any] = model.get_diff_sampling_param()
        self.tokenizer = self._engine.get_tokenizer()
        self.facts = ModelFacts(
            version=vllm.__version__,
            device=current_platform.device_type,
            dtype=dtype_name(model.dtype),
            max_model_len=model.max_model_len,
            vocab_size=model.get_vocab_size(),
            max_logprobs=model.max_logprobs if model.max_logprobs >= 0 else model.get_vocab_size(),
            default_max_tokens=self._defaults.get("max_tokens"),
            sampling_defaults=dict(self._defaults),
            has_priorities=self._engine.vllm_config.scheduler_config.policy == "priority",
            **_adapter_facts(self._engine.vllm_config.lora_config),
        )

    @property
    def is_dead(self) -> bool:
        return bool(self._engine.errored)

    def shutdown(self) -> None:
        """Ends the engine's processes, which takes a moment."""
        self._engine.shutdown()

    def sampling_params(self, params: GenerationParams) -> Any:
        """Each parameter of the request, else the model's, else vLLM's. Raises `RequestRefusedError`."""
        said = {name: getattr(params, name) for name in SAMPLING}
        chosen = {name: self._defaults.get(name) if value is None else value for name, value in said.items()}
        try:
            return SamplingParams(
                **{name: value for name, value in chosen.items() if value is not None},
                n=1 if chosen["temperature"] == 0 else params.n,  # all greedy choices are the same
                max_tokens=params.max_tokens,
                min_tokens=params.min_tokens,
                seed=params.seed,
                stop_token_ids=sorted(params.stop_token_ids),
                ignore_eos=params.ignore_eos,
                logprobs=params.logprobs,
                prompt_logprobs=params.prompt_logprobs,
                logit_bias=dict(params.logit_bias) or None,
                allowed_token_ids=list(params.allowed_token_ids) or None,
                bad_words=list(params.bad_words) or None,
                structured_outputs=_structured(params),
                output_kind=RequestOutputKind.FINAL_ONLY if params.final_only else RequestOutputKind.DELTA,
                detokenize=False,
                skip_clone=True,
            )
        except _CLIENT_ERRORS as error:
            raise _refusal(error) from error

    def generate(
        self, prompt_token_ids: Sequence[int], sampling: Any, *, request_id: str, lora: Any, priority: int
    ) -> AsyncGenerator[Any, None]:
        """vLLM's request outputs. Closing the generator aborts. Raises `EngineBusyError` if its queue is full."""
        if hasattr(self._engine, "check_admission"):
            try:
                self._engine.check_admission(sampling.n, request_id)
            except _BUSY_ERRORS as error:
                raise EngineBusyError(str(error)) from error
        outputs: AsyncGenerator[Any, None] = self._engine.generate(
            tokens_input(list(prompt_token_ids)), sampling, request_id, lora_request=lora, priority=priority
        )
        return outputs

    async def abort(self, request_ids: Sequence[str]) -> None:
        """Aborts requests. Their generators yield a last output that reports it."""
        await self._engine.abort(list(request_ids))

    async def add_lora(self, name: str, number: int, path: str) -> Any:
        """Returns the object by which requests name the adapter. `number` must be at least 1 and unique."""
        lora = LoRARequest(name, number, path)
        await self._engine.add_lora(lora)
        return lora

    async def remove_lora(self, number: int) -> None:
        await self._engine.remove_lora(number)

    @staticmethod
    def translated(error: Exception) -> EngineError:
        """The `EngineError` for a failure of vLLM."""
        if isinstance(error, EngineError):
            return error
        if isinstance(error, VllmDeadError):
            return EngineDeadError("the engine has died; see the server's log")
        if isinstance(error, _CLIENT_ERRORS):
            return _refusal(error)
        if isinstance(error, _BUSY_ERRORS):
            return EngineBusyError(str(error))
        return EngineError("the engine failed; see the server's log")

    @classmethod
    def exposition(cls) -> bytes | None:
        """vLLM's own metrics in Prometheus' text format, or None if its statistics are off."""
        return None if cls.gauge("vllm:num_requests_running") is None else generate_latest(REGISTRY)

    @staticmethod
    def gauge(name: str) -> int | None:
        """One of vLLM's own gauges, summed over its engines, or None if its statistics are off."""
        samples = [
            sample.value for metric in REGISTRY.restricted_registry([name]).collect() for sample in metric.samples
        ]
        return int(sum(samples)) if samples else None


def _adapter_facts(config: Any) -> dict[str, Any]:
    if config is None:
        return {"has_adapters": False, "max_adapter_rank": 0, "adapter_limit": 0, "weighs_prompts_alone": False}
    is_cpu = current_platform.is_cpu()
    return {
        "has_adapters": True,
        "max_adapter_rank": config.max_lora_rank,
        "adapter_limit": config.max_loras - _SPARE_SLOTS if is_cpu else None,
        "weighs_prompts_alone": is_cpu,
    }


def _refusal(error: Exception) -> RequestRefusedError:
    message = str(error.args[0]) if error.args else str(error)
    return RequestRefusedError(message, getattr(error, "parameter", None))


def _structured(params: GenerationParams) -> Any:
    wanted = params.structured_output
    if wanted is None:
        return None
    value = call_list_schema(wanted.calls, wanted.max_calls) if wanted.calls else wanted.value
    return StructuredOutputsParams(**{wanted.kind: value}, **wanted.options)


def _known(arguments: Mapping[str, Any]) -> dict[str, Any]:
    names = [field.name for field in fields(AsyncEngineArgs)]
    for name in arguments:
        if name not in names:
            hint = did_you_mean(name, names)
            raise EngineStartError(f"vLLM {vllm.__version__} has no engine argument {name!r}.{hint}")
    return dict(arguments)


def _quiet(arguments: dict[str, Any]) -> dict[str, Any]:
    """Turns off the progress bar that ignores tqdm's own switch."""
    if os.environ.get("TQDM_DISABLE") == "1" and "use_tqdm_on_load" in (
        field.name for field in fields(AsyncEngineArgs)
    ):
        return {"use_tqdm_on_load": False, **arguments}
    return arguments


def _check_four_bits(model: Path) -> None:
    """vLLM multiplies by weights of four bits with AVX-512 alone. It does not say so before it dies of a request.

    Raises `EngineStartError`.
    """
    if not current_platform.is_cpu() or not (model / CONFIG).is_file() or not has_four_bit_weights(model):
        return
    current_platform.import_kernels()
    if not hasattr(torch.ops._C, "cpu_gemm_wna16"):  # noqa: SLF001 - where torch puts what a library registers
        raise EngineStartError(
            f"vLLM cannot serve {model} on this CPU: weights of four bits need AVX-512, which it lacks. Serve the model"
            " on a GPU or on another CPU, or serve the one that it was made from."
        )


def _fitted(arguments: dict[str, Any]) -> dict[str, Any]:
    """Adds the settings that a CPU needs, on a CPU."""
    if not current_platform.is_cpu():
        return arguments
    prepare_cpu(os.environ, arguments)
    fitted = dict(arguments)
    available = available_memory_bytes(Path("/proc/meminfo").read_text())
    cache_bytes = cpu_cache_bytes(os.environ, arguments, available)
    if cache_bytes is not None:
        fitted["kv_cache_memory_bytes"] = cache_bytes
    if fitted.get("enable_lora"):
        fitted["max_loras"] = (fitted.get("max_loras") or 1) + _SPARE_SLOTS
        if fitted.get("max_cpu_loras") is not None:
            fitted["max_cpu_loras"] = max(fitted["max_cpu_loras"], fitted["max_loras"])
    return fitted
