"""The dataset beside a checkpoint: its training rows and its evaluation rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mock_server.dataset.rows import DatasetError, write_samples
from mock_server.dataset.sample import Sample
from mock_server.engine.hf import checkpoint
from mock_server.engine.wording import Setting

CONFIG = "dataset_config.json"
_TRAIN, _VAL = "train.jsonl", "val.jsonl"


@dataclass(frozen=True, slots=True)
class SavedDataset:
    """`val` is None if no row was held back."""

    train: Path
    val: Path | None


def save_dataset(folder: Path, train: Sequence[Sample], val: Sequence[Sample]) -> None:
    """Writes both, and the file that names them, into the folder. Raises `OSError`."""
    write_samples(folder / _TRAIN, train)
    if val:
        write_samples(folder / _VAL, val)
    config = {"train": _TRAIN, "val": _VAL if val else None, "num_train": len(train), "num_val": len(val)}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def find_saved(ckpt_dir: Path) -> SavedDataset:
    """Looks in the checkpoint's folder and in the one above it, which is its run's. Raises `DatasetError`."""
    folder = ckpt_dir.expanduser().resolve()
    for place in (folder, folder.parent):
        if (place / CONFIG).is_file():
            return _read(place)
    raise DatasetError(
        Setting("load_dataset_config", True),
        f": neither {folder} nor the folder above it has a {CONFIG}, which sft writes: name the data with ",
        Setting("dataset"),
    )


def _read(folder: Path) -> SavedDataset:
    try:
        config = checkpoint.read_json(folder / CONFIG)
    except ValueError as error:
        raise DatasetError(str(error)) from None
    train, val = config.get("train"), config.get("val")
    if not isinstance(train, str) or not (val is None or isinstance(val, str)):
        raise DatasetError(f"{folder / CONFIG} must have train and val, the names of files or null")
    return SavedDataset(folder / train, None if val is None else folder / val)
