"""Writes a model's weights in four bits with llmcompressor. It runs in an environment of its own, which has no other
module of this package: `python quantizer_program.py JOB`, a JSON file. Prints lines about its progress; the last line
on standard error is why it failed.

The job has `model` and `folder` (the folder that is filled), `method` (gptq, awq or rtn), `rows` (lists of messages,
empty for rtn) and `length` (tokens per row). The program ends when its standard input closes, as it does when the
process that started it is killed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

_GROUP_SIZES = (128, 64, 32)
_BITS = 4
_CHATLESS = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


class _CannotQuantizeError(Exception):
    """The model or the rows do not allow it."""


def main() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}
    try:
        quantize(job)
    except (_CannotQuantizeError, OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"\n{' '.join(str(error).split())[:400] or type(error).__name__}\n")
        sys.exit(1)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def quantize(job: dict[str, Any]) -> None:
    import torch
    from llmcompressor import oneshot
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype="auto")
    group = _group_size(model, torch)
    _say(f"quantizing to {_BITS} bits by {job['method']}, in groups of {group}")
    modifier = _modifier(job["method"], group)
    if job["method"] == "rtn":
        oneshot(model=model, recipe=modifier)
    else:
        data = _encoded(job, tokenizer)
        _say(f"calibrating with {len(data)} rows")
        oneshot(
            model=model,
            dataset=data,
            recipe=modifier,
            max_seq_length=job["length"],
            num_calibration_samples=len(data),
        )
    model.save_pretrained(job["folder"], save_compressed=True)


def _modifier(method: str, group: int) -> Any:
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    weights = QuantizationArgs(num_bits=_BITS, type="int", symmetric=True, strategy="group", group_size=group)
    groups = {"group_0": QuantizationScheme(targets=["Linear"], weights=weights)}
    ignored = ["lm_head"]
    if method == "gptq":
        from llmcompressor.modifiers.gptq import GPTQModifier

        return GPTQModifier(config_groups=groups, ignore=ignored)
    if method == "awq":
        from llmcompressor.modifiers.awq import AWQModifier

        return AWQModifier(config_groups=groups, ignore=ignored)
    from llmcompressor.modifiers.quantization import QuantizationModifier

    return QuantizationModifier(config_groups=groups, ignore=ignored)


def _group_size(model: Any, torch: Any) -> int:
    """The largest that divides the inputs of every layer."""
    output = model.get_output_embeddings()
    widths = {
        module.in_features for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not output
    }
    for size in _GROUP_SIZES:
        if all(width % size == 0 for width in widths):
            return size
    raise _CannotQuantizeError(f"its layers have inputs of {sorted(widths)}, which groups of 32 weights do not fit")


def _encoded(job: dict[str, Any], tokenizer: Any) -> Any:
    from datasets import Dataset

    template = tokenizer.chat_template or _CHATLESS
    rows = []
    for messages in job["rows"]:
        ids = tokenizer.apply_chat_template(messages, chat_template=template, return_dict=True)["input_ids"]
        ids = ids[: job["length"]]
        rows.append({"input_ids": ids, "attention_mask": [1] * len(ids)})
    return Dataset.from_list(rows)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
