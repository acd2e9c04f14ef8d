"""Loads a model and its tokenizer, and finds out what they are. Takes as long as reading the weights."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from mock_server.engine.base import SAMPLING
from mock_server.engine.errors import EngineDeadError, EngineStartError
from mock_server.engine.hf.host_memory import available_memory_bytes, default_cache_bytes
from mock_server.engine.transformers.alignment import Room
from mock_server.engine.transformers.facts import ModelFacts
from mock_server.engine.transformers.linear import speed_up
from mock_server.engine.transformers.model import CausalModel
from mock_server.engine.transformers.options import NEUTRAL, ModelArguments
from mock_server.engine.transformers.row import BASE
from mock_server.engine.wording import Setting

_CONTEXT_FIELDS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length", "max_sequence_length",
)  # fmt: skip
_UNKNOWN_CONTEXT = 2_048
_GPU_SHARE = 0.8
"""Of the memory that is free when the weights are loaded; the rest is for computing."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready."""

    model: CausalModel
    tokenizer: Any
    facts: ModelFacts


def load(arguments: ModelArguments, is_wanted: Callable[[], bool]) -> Loaded:
    """`is_wanted` is asked before each long step. Raises `EngineStartError`, and whatever transformers raises."""
    device = _device(arguments.device)
    source = {"revision": arguments.revision, "trust_remote_code": arguments.trust_remote_code}
    config = AutoConfig.from_pretrained(arguments.model, **source)
    _check_kind(arguments.model, config)
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.model, **source)
    _check_wanted(is_wanted)
    dtype = _dtype(arguments.dtype, device)
    network = _weights(arguments, config, dtype, device, source)
    _check_wanted(is_wanted)
    if device.type == "cpu":
        speed_up(network)
    text_config = config.get_text_config()
    model = CausalModel(network, int(text_config.vocab_size))
    cell_bytes = _cell_bytes(model)
    cells = (arguments.kv_cache_memory_bytes or _free_cache_bytes(device)) // cell_bytes
    defaults = _sampling_defaults(arguments, network)
    facts = ModelFacts(
        version=transformers.__version__,
        device=device.type,
        dtype=str(network.dtype).removeprefix("torch."),
        max_model_len=_max_model_len(arguments, text_config, Room(1, cells).longest_alone(), cell_bytes),
        vocab_size=int(text_config.vocab_size),
        eos_ids=_eos_ids(tokenizer, network.generation_config),
        cache_cells=cells,
        default_max_tokens=defaults.pop("max_new_tokens", None),
        sampling_defaults={name: value for name, value in defaults.items() if name in SAMPLING},
    )
    return Loaded(model, tokenizer, facts)


def _check_wanted(is_wanted: Callable[[], bool]) -> None:
    if not is_wanted():
        raise EngineDeadError("the start of the engine was cancelled")


def _device(name: str | None) -> torch.device:
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise EngineStartError(Setting("device", name), f" cannot be used: {reason}. Leave it out.") from error
    return device


def _dtype(name: str, device: torch.device) -> Any:
    """On CPUs, narrow types are slower, and the same request is answered differently in different batches."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    return getattr(torch, name)


def _check_kind(model: str, config: Any) -> None:
    """Raises `EngineStartError` for a model that cannot be batched in this way."""
    problem = None
    if config.is_encoder_decoder:
        problem = "it has an encoder and a decoder"
    else:
        layers = DynamicCache(config=config).layers
        if any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers):
            problem = "its layers keep a state other than keys and values"
    if problem is not None:
        raise EngineStartError(
            f"the engine transformers cannot serve {model}: {problem}. If vLLM can run it, use ",
            Setting("infer_backend", "vllm"),
            ".",
        )


def _weights(
    arguments: ModelArguments, config: Any, dtype: Any, device: torch.device, source: Mapping[str, Any]
) -> Any:
    placement = {} if device.type == "cpu" else {"device_map": {"": device}}
    network, found = AutoModelForCausalLM.from_pretrained(
        arguments.model,
        config=config,
        dtype=dtype,
        attn_implementation=arguments.attn_implementation or "sdpa",
        output_loading_info=True,
        **placement,
        **source,
    )
    if found["missing_keys"]:
        some = sorted(found["missing_keys"])
        raise EngineStartError(
            f"transformers cannot serve {arguments.model}: its files lack {len(some)} tensors, such as {some[0]}."
        )
    return network.eval().requires_grad_(False)


def _cell_bytes(model: CausalModel) -> int:
    """The size of one token in the cache. Also shows early whether the model computes at all."""
    cache = DynamicCache()
    model.prefill([0], cache, BASE, num_logits=1)
    return sum(tensor.nbytes for layer in cache.layers for tensor in (layer.keys, layer.values))


def _free_cache_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(device)[0] * _GPU_SHARE)
    meminfo = Path("/proc/meminfo")
    available = available_memory_bytes(meminfo.read_text()) if meminfo.exists() else None
    if available is None:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return default_cache_bytes(available)


def _max_model_len(arguments: ModelArguments, config: Any, most: int, cell_bytes: int) -> int:
    """Raises `EngineStartError` for a context that the model or the cache, which takes `most` tokens, does not have."""
    lengths = [getattr(config, name, None) for name in _CONTEXT_FIELDS]
    known = [length for length in lengths if isinstance(length, int) and length > 0]
    context = min(known, default=_UNKNOWN_CONTEXT)
    wanted = arguments.max_model_len
    if wanted is not None and known and wanted > context:
        raise EngineStartError(
            Setting("max_model_len", wanted), f" is longer than the model's context of {context} tokens: lower it"
        )
    if wanted is not None:
        context = wanted
    if context <= most:
        return context
    if wanted is None and most > 1:
        _log.warning("the context is %d tokens instead of %d, because the KV cache has no room for more", most, context)
        return most
    raise EngineStartError(
        f"a context of {context} tokens needs {context * cell_bytes / 2**20:.0f} MiB of KV cache, and an eighth more to"
        " grow. Give the cache more memory with ",
        Setting("kv_cache_memory_bytes"),
        ", or lower ",
        Setting("max_model_len"),
        ".",
    )


def _sampling_defaults(arguments: ModelArguments, network: Any) -> dict[str, Any]:
    if arguments.generation_config == NEUTRAL:
        defaults = {}
    elif arguments.generation_config is not None:
        defaults = GenerationConfig.from_pretrained(arguments.generation_config).to_diff_dict()
    else:
        defaults = network.generation_config.to_diff_dict()
    return {**{name: value for name, value in defaults.items() if value is not None}, **arguments.sampling_defaults}


def _eos_ids(tokenizer: Any, generation_config: Any) -> frozenset[int]:
    ids = generation_config.eos_token_id
    found = ids if isinstance(ids, list) else [ids]
    return frozenset(each for each in (*found, tokenizer.eos_token_id) if each is not None)
