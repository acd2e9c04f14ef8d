"""A model's folder as far as it can be read without loading it: configuration, and the shapes of its tensors."""

import json
import struct
from pathlib import Path
from typing import Any

Shape = tuple[int, ...]

CONFIG = "config.json"
_INDEX = "model.safetensors.index.json"
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit


def read_json(path: Path) -> dict[str, Any]:
    """Raises `ValueError` that names the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ValueError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object")
    return content


def tensor_shapes(folder: Path, file: str = "model.safetensors") -> dict[str, Shape]:
    """Of every tensor in a folder's safetensors files; none where there is no such file."""
    files = [folder / file]
    if (folder / _INDEX).is_file() and not files[0].is_file():
        names = set(read_json(folder / _INDEX).get("weight_map", {}).values())
        files = [folder / name for name in sorted(names)]
    return {name: shape for path in files if path.is_file() for name, shape in _shapes_of(path).items()}


def _shapes_of(path: Path) -> dict[str, Shape]:
    """From the header alone: eight bytes that say how long it is, then JSON."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _MAX_HEADER_BYTES
        if length >= _MAX_HEADER_BYTES:
            raise ValueError(f"{path} is no safetensors file")
        header = json.loads(file.read(length))
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
