"""The settings of a run, as `sft_args.json` keeps them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mock_server.engine.hf import checkpoint
from mock_server.engine.wording import Setting
from mock_server.training.errors import TrainingOptionError

FILE = "sft_args.json"
ALL_LINEAR = "ALL"
"""For `lora_target_modules`: every linear layer except the output layer."""

MAY_CHANGE = frozenset(
    {"num_train_epochs", "max_steps", "eval_steps", "save_steps", "save_total_limit", "logging_steps", "device"}
)
"""Settings that a resumed run may have otherwise than before: the steps that were done stay what they were."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Lengths are in tokens, batches in rows for each rank. `model_id_or_path` is an absolute folder or a hub id."""

    model_id_or_path: str
    model_type: str | None
    template_type: str | None
    model_fingerprint: str | None
    """Of the model's files, if it is a folder."""
    dataset: tuple[str, ...]
    model_name: tuple[str, ...]
    model_author: tuple[str, ...]
    system: str | None
    dataset_test_ratio: float
    max_length: int | None
    lora_target_modules: tuple[str, ...]
    lora_rank: int
    lora_alpha: int
    lora_dropout_p: float
    learning_rate: float
    warmup_ratio: float
    weight_decay: float
    max_grad_norm: float
    lr_scheduler_type: str
    num_train_epochs: float
    max_steps: int | None
    """Ends the run before its epochs do."""
    batch_size: int
    gradient_accumulation_steps: int
    eval_steps: int
    save_steps: int
    save_total_limit: int | None
    logging_steps: int
    seed: int
    dtype: str
    device: str
    gradient_checkpointing: bool | None
    """None: on a GPU."""
    nproc_per_node: int

    def write(self, folder: Path) -> None:
        """Raises `OSError`."""
        text = json.dumps({"sft_type": "lora", **dataclasses.asdict(self)}, ensure_ascii=False, indent=2)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")


_NAMES = tuple(field.name for field in dataclasses.fields(TrainSettings))


def read_settings(folder: Path) -> TrainSettings:
    """What `write` wrote into the folder. Raises `TrainingOptionError`."""
    try:
        saved = checkpoint.read_json(folder / FILE)
    except ValueError as error:
        raise TrainingOptionError(f"{error}: it does not belong to a run of sft") from None
    missing = [name for name in _NAMES if name not in saved]
    if missing:
        raise TrainingOptionError(f"{folder / FILE} has no {missing[0]}: it was not written by this version of sft")
    return TrainSettings(**{name: _value(saved[name]) for name in _NAMES})


def _value(saved: Any) -> Any:
    return tuple(saved) if isinstance(saved, list) else saved


def resumed_settings(saved: TrainSettings, given: Mapping[str, Any], typed: Collection[str]) -> TrainSettings:
    """The settings of a run that goes on: the saved ones, with what was typed anew where that may change.

    Raises `TrainingOptionError`, which names what differs.
    """
    changes = {name: given[name] for name in typed if name in _NAMES and given[name] != getattr(saved, name)}
    for name, value in changes.items():
        if name not in MAY_CHANGE:
            had = _shown(getattr(saved, name))
            raise TrainingOptionError(
                Setting(name, _shown(value)),
                f" differs from the run to be resumed, which has {had}: leave it out, or start a new run without ",
                Setting("resume_from_checkpoint"),
            )
    return dataclasses.replace(saved, **changes)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
