"""How close the scores of two models are for the same text, as transformers computes them.

usage: closeness.py MODEL OTHER; the last line printed is JSON.
"""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def scores(folder: str, ids: torch.Tensor) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        return model(input_ids=ids).logits.flatten()


def main() -> None:
    first, second = sys.argv[1:]
    text = "The capital of France is Paris, and bees make honey."
    ids = AutoTokenizer.from_pretrained(first)(text, return_tensors="pt")["input_ids"]
    one, other = scores(first, ids), scores(second, ids)
    correlation = torch.corrcoef(torch.stack([one, other]))[0, 1].item()
    print(json.dumps({"correlation": correlation, "difference": (one - other).abs().max().item()}))


main()
