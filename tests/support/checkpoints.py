"""Folders of models and adapters, small enough to write in a test: configurations and safetensors of any shape."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BASE_SHAPES = {
    "model.embed_tokens.weight": (32, 8),
    "model.layers.0.self_attn.q_proj.weight": (8, 8),
    "model.layers.0.mlp.down_proj.weight": (8, 16),
}


def write_safetensors(file: Path, shapes: Mapping[str, Sequence[int]]) -> None:
    """Zeros in float32."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    head = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(head)) + head + bytes(offset))


def write_base(folder: Path, shapes: Mapping[str, Sequence[int]] = BASE_SHAPES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    write_safetensors(folder / "model.safetensors", shapes)
    return folder


def write_adapter(
    folder: Path,
    *,
    rank: int = 4,
    base: str | None = "base",
    modules: Mapping[str, Sequence[int]] = {"model.layers.0.self_attn.q_proj": (8, 8)},
    **config: Any,
) -> Path:
    """An adapter of these modules, each with the (out, in) of the matrix that it changes."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"peft_type": "LORA", "r": rank, "base_model_name_or_path": base, **config}
    (folder / "adapter_config.json").write_text(json.dumps(fields))
    shapes: dict[str, Sequence[int]] = {}
    for module, (rows, columns) in modules.items():
        shapes[f"base_model.model.{module}.lora_A.weight"] = (rank, columns)
        shapes[f"base_model.model.{module}.lora_B.weight"] = (rows, rank)
    write_safetensors(folder / "adapter_model.safetensors", shapes)
    return folder
