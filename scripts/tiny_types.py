"""Makes tiny models of random weights in the architectures of the page's model types: what tests start under each type.

usage: tiny_types.py BASE FOLDER; BASE is a model whose tokenizer they take. Writes FOLDER/qwen2, llama and yi, then
qwen2-gptq and qwen2-awq, which have qwen2's layers in four bits, and qwen2-unpacked, which has the same numbers in
float32, and qwen, the first Qwen, of which only the configuration is there: today's vLLM does not run it. None has a
chat template, so that the type's is used.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedConfig, Qwen2Config

GROUP = 128
SIZES = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "initializer_range": 0.2,  # else a model of random weights says its last token again and again
}
ZERO = 8  # of sixteen levels, the one that stands for 0
# the order in which AWQ packs eight columns into an integer
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
AS_WRITTEN = tuple(range(8))

QWEN_CONFIGURATION = """\
from transformers import PreTrainedConfig


class QWenConfig(PreTrainedConfig):
    model_type = "qwen"
"""

Tensors = dict[str, torch.Tensor]


def configs(vocab_size: int, eos: int) -> dict[str, PreTrainedConfig]:
    common = {**SIZES, "vocab_size": vocab_size, "bos_token_id": eos, "eos_token_id": eos, "pad_token_id": eos}
    return {
        "qwen2": Qwen2Config(**common, num_key_value_heads=4),
        "llama": LlamaConfig(**common, num_key_value_heads=4),
        "yi": LlamaConfig(**common, num_key_value_heads=2, rope_theta=5e6),
    }


def quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Levels 0 to 15 (in × out), and the scale of each group of inputs (groups × out)."""
    groups = weight.T.reshape(-1, GROUP, weight.shape[0])
    scales = (groups.abs().amax(dim=1) / 7).half().float()
    levels = (groups / scales[:, None]).round().clamp(-8, 7) + ZERO
    return levels.reshape(-1, weight.shape[0]).int(), scales


def pack(levels: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """Eight columns in each integer, the first of `order` in its lowest bits."""
    eights = levels.reshape(levels.shape[0], -1, 8)[:, :, list(order)].long()
    packed = (eights << (4 * torch.arange(8))).sum(dim=-1)
    return torch.where(packed >= 2**31, packed - 2**32, packed).int()


def gptq(levels: torch.Tensor, scales: torch.Tensor) -> Tensors:
    """Packed along the inputs. The format stores each zero less one."""
    zeros = torch.full(scales.shape, ZERO - 1, dtype=torch.int32)
    return {
        "qweight": pack(levels.T, AS_WRITTEN).T.contiguous(),
        "qzeros": pack(zeros, AS_WRITTEN),
        "scales": scales.half(),
        "g_idx": (torch.arange(levels.shape[0]) // GROUP).int(),
    }


def awq(levels: torch.Tensor, scales: torch.Tensor) -> Tensors:
    """Packed along the outputs."""
    zeros = torch.full(scales.shape, ZERO, dtype=torch.int32)
    return {"qweight": pack(levels, AWQ_ORDER), "qzeros": pack(zeros, AWQ_ORDER), "scales": scales.half()}


def unpacked(levels: torch.Tensor, scales: torch.Tensor) -> Tensors:
    grouped = (levels - ZERO).float().reshape(-1, GROUP, levels.shape[1])
    return {"weight": (grouped * scales[:, None]).reshape(levels.shape).T.contiguous()}


FORMS: dict[str, tuple[Callable[[torch.Tensor, torch.Tensor], Tensors], dict[str, object] | None]] = {
    "qwen2-gptq": (gptq, {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": True}),
    "qwen2-awq": (
        awq,
        {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True},
    ),
    "qwen2-unpacked": (unpacked, None),
}


def write_quantized(model: Path, name: str) -> None:
    """The same model with its layers' matrices in another form."""
    form, configuration = FORMS[name]
    folder = model.with_name(name)
    shutil.copytree(model, folder)
    tensors: Tensors = {}
    for key, weight in load_file(model / "model.safetensors").items():
        module, _, kind = key.rpartition(".")
        if kind == "weight" and module.endswith("_proj"):
            tensors |= {f"{module}.{part}": value for part, value in form(*quantize(weight)).items()}
        else:
            tensors[key] = weight
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if configuration is not None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"quantization_config": configuration}, indent=2))


def write_first_qwen(model: Path, folder: Path) -> None:
    """It brings its own code, as on the hub."""
    shutil.copytree(model, folder)
    own = {"configuration_qwen.py": QWEN_CONFIGURATION}
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "architectures": ["QWenLMHeadModel"],
        "model_type": "qwen",
        "auto_map": {"AutoConfig": "configuration_qwen.QWenConfig"},
    }
    for name, text in {**own, "config.json": json.dumps(config, indent=2)}.items():
        (folder / name).write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path, help="made anew; what was there goes only when the new one is whole")
    args = parser.parse_args()
    target: Path = args.folder
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was interrupted
    tokenizer = AutoTokenizer.from_pretrained(args.base)
    tokenizer.chat_template = None
    torch.manual_seed(0)
    for name, config in configs(len(tokenizer), tokenizer.eos_token_id).items():
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(partial / name)
        tokenizer.save_pretrained(partial / name)
    for name in FORMS:
        write_quantized(partial / "qwen2", name)
    write_first_qwen(partial / "qwen2", partial / "qwen")
    for file in partial.rglob("*"):
        if file.is_file():
            file.chmod(0o644)  # weights are written for their owner alone
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)


if __name__ == "__main__":
    main()
