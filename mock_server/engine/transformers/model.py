"""The model on its device: what it computes for one prompt and for a batch, and peft's adapters inside it.

One thread calls it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import DynamicCache

from mock_server.engine.errors import EngineError
from mock_server.engine.transformers.cache import BatchCache


class CausalModel:
    """A causal language model of transformers. `adapters` below are names that `load_adapter` was given, or `BASE`."""

    def __init__(self, model: nn.Module, vocab_size: int) -> None:
        self._base = model
        self._peft: PeftModel | None = None
        self._vocab_size = vocab_size
        self._device = next(model.parameters()).device
        parameters = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._can_skip_logits = "logits_to_keep" in parameters

    def prefill(self, token_ids: Sequence[int], cache: DynamicCache, adapter: str, *, num_logits: int) -> torch.Tensor:
        """Computes a piece of a prompt after what is in the cache. Returns the logits of its last positions, of the
        shape (`num_logits`, vocabulary).
        """
        begin = cache.get_seq_length()
        positions = torch.arange(begin, begin + len(token_ids), device=self._device)[None]
        logits = self._forward([token_ids], cache, [adapter], positions, None, num_logits)
        return logits[0, -num_logits:]

    def decode(self, token_ids: Sequence[int], cache: BatchCache, adapters: Sequence[str]) -> torch.Tensor:
        """Computes one more token of each row. Returns logits of the shape (rows, vocabulary)."""
        cache.prepare()
        lengths = torch.tensor(cache.lengths, device=self._device)
        columns = int(max(cache.lengths)) + 1
        is_used = torch.arange(columns, device=self._device)[None] >= (columns - 1 - lengths)[:, None]
        logits = self._forward([[each] for each in token_ids], cache, adapters, lengths[:, None], is_used, 1)
        cache.advance()
        return logits[:, -1]

    def _forward(
        self,
        token_ids: Sequence[Sequence[int]],
        cache: Any,
        adapters: Sequence[str],
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        num_logits: int,
    ) -> torch.Tensor:
        arguments: dict[str, Any] = {
            "input_ids": torch.tensor(token_ids, device=self._device),
            "past_key_values": cache,
            "use_cache": True,
            "attention_mask": mask,
        }
        if self._takes_positions:
            arguments["position_ids"] = positions
        if self._can_skip_logits:
            arguments["logits_to_keep"] = num_logits
        with torch.inference_mode():
            if self._peft is None:
                output = self._base(**arguments)
            else:
                output = self._peft(**arguments, adapter_names=list(adapters))
        logits: torch.Tensor = output.logits
        return logits[..., : self._vocab_size].float()

    def load_adapter(self, name: str, folder: str) -> None:
        """Raises whatever peft raises, and `EngineError` if tensors are missing or have no place."""
        try:
            config = PeftConfig.from_pretrained(folder)
            if getattr(config, "target_parameters", None):
                raise EngineError("it changes parameters that are no module's (target_parameters): merge it")
            if self._peft is None:
                config.inference_mode = True
                options = {"autocast_adapter_dtype": False, "low_cpu_mem_usage": True}
                self._peft = PeftModel(self._base, config, adapter_name=name, **options)
            result = self._peft.load_adapter(
                folder,
                name,
                torch_device=str(self._device),
                autocast_adapter_dtype=False,
                low_cpu_mem_usage=True,
            )
            for keys, problem in ((result.unexpected_keys, "has no place for"), (result.missing_keys, "misses")):
                if keys:
                    raise EngineError(f"the model {problem} {keys[0]}")
        except Exception:
            if self._peft is None:
                self._restore_layers()
            elif name in self._peft.peft_config:
                self.drop_adapter(name)
            raise
        self._peft.eval()

    def _restore_layers(self) -> None:
        """peft may have failed after it had replaced some."""
        for name, layer in list(self._base.named_modules()):
            if isinstance(layer, BaseTunerLayer):
                self._base.set_submodule(name, layer.get_base_layer())

    def drop_adapter(self, name: str) -> None:
        """No row may use it any more. Without adapters, the model is as it was before the first one."""
        if self._peft is None:
            return
        others = [each for each in self._peft.peft_config if each != name]
        if others:
            self._peft.set_adapter(others[0])  # peft warns when the one that goes is its default
            self._peft.delete_adapter(name)
        else:
            self._peft.unload()
            self._peft = None
