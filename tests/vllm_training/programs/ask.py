"""Greedy answers of a model, with an adapter and without.

usage: ask.py BASE ADAPTER QUESTION…; prints JSON: for each question, the adapter's answer and the base's.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer


def answer(model: Any, tokenizer: Any, question: str) -> str:
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        ids = model.generate(**prompt, max_new_tokens=30, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    return tokenizer.decode(ids, skip_special_tokens=True)


def main() -> None:
    base, adapter, *questions = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
    tuned = [answer(model, tokenizer, question) for question in questions]
    with model.disable_adapter():
        plain = [answer(model, tokenizer, question) for question in questions]
    print(json.dumps({"tuned": tuned, "base": plain}, ensure_ascii=False))


main()
