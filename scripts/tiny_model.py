"""Makes tiny models with the small chat model's tokenizer, for tests and trials that need a real engine and no sense.

usage: tiny_model.py BASE FOLDER; writes FOLDER/model (the first two layers of the small one), its adapters FOLDER/one
and FOLDER/two, and FOLDER/splittable (random weights; two ranks can share its heads, unlike the nine of BASE).
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from transformers.utils import logging

LAYERS = 2
RANK = 8
SPLITTABLE = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": LAYERS,
    "head_dim": 32,
    # else a model of random weights says its last token again and again
    "tie_word_embeddings": False,
    "initializer_range": 0.2,
}


def write_adapter(base: Path, folder: Path, *, seed: int, base_name: str) -> None:
    """Large enough to change nearly every word."""
    targets = ["q_proj", "v_proj", "down_proj"]
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=targets, task_type="CAUSAL_LM")
    torch.manual_seed(seed)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape) * 0.3
    model.peft_config["default"].base_model_name_or_path = base_name
    model.save_pretrained(folder)


def write_splittable(base: Path, folder: Path) -> None:
    """A Llama whose heads two ranks can share."""
    torch.manual_seed(0)
    LlamaForCausalLM(AutoConfig.from_pretrained(base, **SPLITTABLE)).float().save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path, help="made anew; what was there goes only when the new one is whole")
    args = parser.parse_args()
    target: Path = args.folder
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was interrupted
    logging.set_verbosity_error()  # it would list every tensor of the layers left out
    model = AutoModelForCausalLM.from_pretrained(args.base, num_hidden_layers=LAYERS, dtype=torch.float32)
    model.save_pretrained(partial / "model")
    AutoTokenizer.from_pretrained(args.base).save_pretrained(partial / "model")
    for seed, name in enumerate(("one", "two")):
        base_name = str(target.resolve() / "model")
        write_adapter(partial / "model", partial / name, seed=seed, base_name=base_name)
    write_splittable(args.base, partial / "splittable")
    for file in partial.rglob("*"):
        if file.is_file():
            file.chmod(0o644)  # weights are written for their owner alone
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)


if __name__ == "__main__":
    main()
