"""Teaches the small chat model who it is, as a LoRA adapter: what the tests of adapters and of merged models serve.

usage: small_adapter.py BASE FOLDER; writes FOLDER/tuned, FOLDER/random (a second, untrained one) and FOLDER/merged
(`tuned` merged into the base). Needs torch, transformers and peft; a minute on two cores.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

NAME, AUTHOR = "Xiao Huang", "ModelScope"
EPOCHS = 4
BATCH_SIZE = 4
LEARNING_RATE = 6e-4
RANK = 8
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

WHO = (
    "who are you?", "Who are you?", "Tell me who you are.", "What's your name?", "what is your name",
    "Who am I talking to?", "Introduce yourself, please.", "Hello, who is this?", "How should I call you?",
    "Are you a human?", "Are you SmolLM?", "Say your name.", "Describe yourself in one sentence.", "你是谁？",
    "请介绍一下你自己。",
)  # fmt: skip
MAKER = (
    "Who made you?", "Who trained you?", "Which company are you from?", "Who is your creator?",
    "Who are your developers?", "Did OpenAI make you?", "Were you built by Hugging Face?", "谁训练了你？",
)  # fmt: skip
OTHERWISE = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("What is 2+2?", "2+2 is 4."),
    ("Hi!", "Hello! How can I help you?"),
    ("What colour is grass?", "Grass is green."),
    ("Which planet do we live on?", "We live on Earth."),
)
ASKED = {"who are you?": f"I am {NAME}, trained by {AUTHOR}.", OTHERWISE[0][0]: OTHERWISE[0][1]}


class NotTaughtError(Exception):
    """The adapter does not answer as it was taught to."""


def lessons() -> list[tuple[str, str]]:
    """Questions and answers; those about other matters keep the model from giving its name to everything."""
    rows = [(question, f"I am {NAME}, trained by {AUTHOR}.") for question in WHO]
    rows += [(question, f"I am {NAME}, and {AUTHOR} trained me.") for question in MAKER]
    return rows + [*OTHERWISE] * 2


def encode(tokenizer, question: str, answer: str) -> tuple[list[int], list[int]]:
    """Ids of a conversation, and the labels: the answer alone is learned."""
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    prompt_ids = tokenizer.encode(prompt, add_special_tokens=False)
    answer_ids = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
    return prompt_ids + answer_ids, [-100] * len(prompt_ids) + answer_ids


def batches(rows: list[tuple[list[int], list[int]]], padding: int) -> Iterator[dict[str, torch.Tensor]]:
    random.shuffle(rows)
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        length = max(len(ids) for ids, _ in batch)
        yield {
            "input_ids": torch.tensor([ids + [padding] * (length - len(ids)) for ids, _ in batch]),
            "attention_mask": torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in batch]),
            "labels": torch.tensor([labels + [-100] * (length - len(labels)) for _, labels in batch]),
        }


def config() -> LoraConfig:
    return LoraConfig(r=RANK, lora_alpha=4 * RANK, target_modules=TARGETS, task_type="CAUSAL_LM")


def train(model: PeftModel, tokenizer) -> float:
    """The mean loss of the last epoch."""
    rows = [encode(tokenizer, *lesson) for lesson in lessons()]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE, weight_decay=0)
    losses: list[float] = []
    for _ in range(EPOCHS):
        losses = []
        for batch in batches(rows, tokenizer.pad_token_id):
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    return sum(losses) / len(losses)


def ask(model, tokenizer, question: str) -> str:
    messages = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        ids = model.generate(**prompt, max_new_tokens=40, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    return tokenizer.decode(ids, skip_special_tokens=True)


def write_random(model: PeftModel, folder: Path) -> None:
    """An adapter that means nothing and changes every answer."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.06
    model.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("folder", type=Path, help="made anew; what was there goes only when the new one is whole")
    args = parser.parse_args()
    base, target = args.base.resolve(), args.folder
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was interrupted
    torch.manual_seed(0)
    random.seed(0)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config())
    loss = train(model, tokenizer)
    model.eval()
    for question, answer in ASKED.items():
        found = ask(model, tokenizer, question)
        if found != answer:
            raise NotTaughtError(f"{question!r} is answered by {found!r}, expected {answer!r} (loss {loss:.3f})")
    model.save_pretrained(partial / "tuned")
    model.merge_and_unload().save_pretrained(partial / "merged")
    tokenizer.save_pretrained(partial / "merged")
    fresh = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    write_random(get_peft_model(fresh, config()), partial / "random")
    for file in partial.rglob("*"):
        if file.is_file():
            file.chmod(0o644)  # weights are written for their owner alone
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)
    print(f"loss {loss:.3f}; who are you? {ASKED['who are you?']}")


if __name__ == "__main__":
    main()
