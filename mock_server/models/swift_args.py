"""The training arguments that ms-swift saves in a checkpoint: `sft_args.json` up to 2.6, `args.json` since 3.0."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mock_server.engine.hf import checkpoint

_FILES = ("args.json", "sft_args.json")
_MODELS = ("model_dir", "model", "model_id_or_path")


@dataclass(frozen=True, slots=True)
class SwiftArgs:
    """`model_type` is ms-swift's name; `models` are folders or hub ids of the base, most reliable first."""

    model_type: str | None = None
    models: tuple[str, ...] = ()


def read_swift_args(folder: Path) -> SwiftArgs:
    """The arguments of the checkpoint in a folder; empty if ms-swift did not write it."""
    for name in _FILES:
        if (folder / name).is_file():
            try:
                args = checkpoint.read_json(folder / name)
            except ValueError:  # other tools may use these names
                continue
            models = (_text(args, key) for key in _MODELS)
            return SwiftArgs(_text(args, "model_type"), tuple(model for model in models if model))
    return SwiftArgs()


def _text(args: dict[str, Any], key: str) -> str | None:
    value = args.get(key)
    return value if isinstance(value, str) and value else None
