"""The lines about a run's progress, on the screen and in `logging.jsonl`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN = {
    "loss": "loss {:.4f}",
    "learning_rate": "lr {:.3g}",
    "grad_norm": "grad {:.3g}",
    "mean_token_accuracy": "accuracy {:.3f}",
    "eval_loss": "eval loss {:.4f}",
    "eval_mean_token_accuracy": "eval accuracy {:.3f}",
}


def record(logs: Mapping[str, Any], step: int, steps: int, elapsed_s: float) -> dict[str, Any] | None:
    """What the log keeps of a line of the trainer; None for its summary at the end, which has no loss of a step."""
    figures = {name: float(logs[name]) for name in _SHOWN if name in logs}
    if not {"loss", "eval_loss"} & figures.keys():
        return None
    epoch = {"epoch": round(float(logs["epoch"]), 4)} if "epoch" in logs else {}
    return {"step": step, "max_steps": steps, **figures, **epoch, "elapsed_s": round(elapsed_s, 1)}


def progress_line(found: Mapping[str, Any], left_s: float | None) -> str:
    """`step 10/36  loss 1.234 …` for people."""
    parts = [f"step {found['step']}/{found['max_steps']}"]
    parts += [text.format(found[name]) for name, text in _SHOWN.items() if name in found]
    if "epoch" in found:
        parts.append(f"epoch {found['epoch']:.2f}")
    if left_s is not None:
        parts.append(f"{duration(left_s)} left")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
