"""The models that can be named by type: their hub ids, whether they chat, and with which template.

Types have ms-swift's names if it has them. Any other model is served by its hub id or folder.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from mock_server.engine.wording import Setting, WordedError


@dataclass(frozen=True, slots=True)
class ModelType:
    """`template` is for tokenizers without one; None for base models, which complete and do not chat."""

    name: str
    hub_id: str
    template: str | None

    @property
    def is_chat(self) -> bool:
        return self.template is not None


class UnknownModelTypeError(WordedError, ValueError):
    """The type is unknown. The message names the nearest ones."""


def find_model_type(name: str) -> ModelType:
    """Raises `UnknownModelTypeError`."""
    found = MODEL_TYPES.get(name.lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), MODEL_TYPES, n=3)
        hint = f" Nearest: {', '.join(near)}." if near else ""
        raise UnknownModelTypeError(
            f"model type {name!r} is not known.{hint} Name any model with ",
            Setting("model_id_or_path"),
            " instead.",
        )
    return found


def model_type_of(hub_id: str) -> ModelType | None:
    """The type of a model on the hub, if there is one."""
    return next((known for known in MODEL_TYPES.values() if known.hub_id.lower() == hub_id.lower()), None)


def _sizes(name: str, hub_id: str, sizes: str, template: str | None) -> Iterator[ModelType]:
    """One type per size: `{}` in a name is the size as ms-swift writes it, and in a hub id as the hub does."""
    for size in sizes.split():
        yield ModelType(name.format(size.replace(".", "_").lower()), hub_id.format(size), template)


def _qwen() -> Iterator[ModelType]:
    yield from _sizes("qwen-{}", "Qwen/Qwen-{}", "1_8B 7B 14B 72B", None)
    yield from _sizes("qwen-{}-chat", "Qwen/Qwen-{}-Chat", "1_8B 7B 14B 72B", "qwen")
    yield from _sizes("qwen-{}-chat-int4", "Qwen/Qwen-{}-Chat-Int4", "1_8B 7B 14B 72B", "qwen")
    yield from _sizes("qwen-{}-chat-int8", "Qwen/Qwen-{}-Chat-Int8", "1_8B 7B 14B 72B", "qwen")
    half = "0.5B 1.8B 4B 7B 14B 32B 72B 110B"
    quantized = "0.5B 1.8B 4B 7B 14B 72B"
    yield from _sizes("qwen1half-{}", "Qwen/Qwen1.5-{}", half, None)
    yield from _sizes("qwen1half-{}-chat", "Qwen/Qwen1.5-{}-Chat", half, "qwen")
    yield from _sizes("qwen1half-{}-chat-int4", "Qwen/Qwen1.5-{}-Chat-GPTQ-Int4", quantized, "qwen")
    yield from _sizes("qwen1half-{}-chat-int8", "Qwen/Qwen1.5-{}-Chat-GPTQ-Int8", quantized, "qwen")
    yield from _sizes("qwen1half-{}-chat-awq", "Qwen/Qwen1.5-{}-Chat-AWQ", quantized, "qwen")
    yield from _sizes("qwen2-{}", "Qwen/Qwen2-{}", "0.5B 1.5B 7B 72B", None)
    yield from _sizes("qwen2-{}-instruct", "Qwen/Qwen2-{}-Instruct", "0.5B 1.5B 7B 72B", "qwen")
    yield from _sizes("qwen2-{}-instruct-int4", "Qwen/Qwen2-{}-Instruct-GPTQ-Int4", "0.5B 1.5B 7B 72B", "qwen")
    sizes = "0.5B 1.5B 3B 7B 14B 32B 72B"
    yield from _sizes("qwen2_5-{}", "Qwen/Qwen2.5-{}", sizes, None)
    yield from _sizes("qwen2_5-{}-instruct", "Qwen/Qwen2.5-{}-Instruct", sizes, "qwen")
    yield from _sizes("qwen2_5-{}-instruct-gptq-int4", "Qwen/Qwen2.5-{}-Instruct-GPTQ-Int4", sizes, "qwen")
    yield from _sizes("qwen2_5-{}-instruct-awq", "Qwen/Qwen2.5-{}-Instruct-AWQ", sizes, "qwen")
    yield from _sizes("qwen3-{}", "Qwen/Qwen3-{}", "0.6B 1.7B 4B 8B 14B 32B", "qwen")
    yield from _sizes("qwen3-{}-base", "Qwen/Qwen3-{}-Base", "0.6B 1.7B 4B 8B 14B", None)


def _others() -> Iterator[ModelType]:
    yield from _sizes("llama2-{}", "meta-llama/Llama-2-{}-hf", "7b 13b 70b", None)
    yield from _sizes("llama2-{}-chat", "meta-llama/Llama-2-{}-chat-hf", "7b 13b 70b", "llama")
    yield from _sizes("llama3-{}", "meta-llama/Meta-Llama-3-{}", "8B 70B", None)
    yield from _sizes("llama3-{}-instruct", "meta-llama/Meta-Llama-3-{}-Instruct", "8B 70B", "llama3")
    yield from _sizes("llama3_2-{}", "meta-llama/Llama-3.2-{}", "1B 3B", None)
    yield from _sizes("llama3_2-{}-instruct", "meta-llama/Llama-3.2-{}-Instruct", "1B 3B", "llama3")
    yield from _sizes("yi-{}", "01-ai/Yi-{}", "6B 9B 34B", None)
    yield from _sizes("yi-{}-chat", "01-ai/Yi-{}-Chat", "6B 34B", "chatml")
    yield from _sizes("yi-{}-chat-int8", "01-ai/Yi-{}-Chat-8bits", "6B 34B", "chatml")
    yield from _sizes("yi-{}-chat-awq", "01-ai/Yi-{}-Chat-4bits", "6B 34B", "chatml")
    yield from _sizes("yi-1_5-{}", "01-ai/Yi-1.5-{}", "6B 9B 34B", None)
    yield from _sizes("yi-1_5-{}-chat", "01-ai/Yi-1.5-{}-Chat", "6B 9B 34B", "chatml")
    yield from _sizes("smollm2-{}", "HuggingFaceTB/SmolLM2-{}", "135M 360M 1.7B", None)
    yield from _sizes("smollm2-{}-instruct", "HuggingFaceTB/SmolLM2-{}-Instruct", "135M 360M 1.7B", "chatml")
    yield ModelType("mistral-7b", "mistralai/Mistral-7B-v0.1", None)
    yield ModelType("mistral-7b-instruct-v2", "mistralai/Mistral-7B-Instruct-v0.2", "llama")
    yield ModelType("tinyllama-1_1b-chat", "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "zephyr")
    yield ModelType("zephyr-7b-beta-chat", "HuggingFaceH4/zephyr-7b-beta", "zephyr")


MODEL_TYPES = {known.name: known for known in (*_qwen(), *_others())}
