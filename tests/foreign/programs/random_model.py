"""Writes a checkpoint of random weights that runs fast on two cores, with the tokenizer of the small chat model.

usage: random_model.py TOKENIZER FOLDER; needs torch and transformers.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

# read when transformers is imported; without them it would ask the hub for what a folder lacks
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

WIDTH = 64
SEED = 7


def write(tokenizer_folder: Path, folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=8192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(config)
    model.generation_config.do_sample = True
    model.save_pretrained(folder)


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    target = Path(sys.argv[2])
    partial = target.with_name(f".{target.name}.partial")  # an interrupted run leaves no half-written model
    shutil.rmtree(partial, ignore_errors=True)
    write(Path(sys.argv[1]), partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


if __name__ == "__main__":
    main()
