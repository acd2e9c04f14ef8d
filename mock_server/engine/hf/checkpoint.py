"""What a model's folder shows without loading the model: its configuration, and the shapes of its tensors."""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO

Shape = tuple[int, ...]

CONFIG = "config.json"
_INDEX = "model.safetensors.index.json"
_MAX_JSON_BYTES = 16_000_000


class BadFileError(ValueError):
    """A file is not what it should be. `problem` is the end of a sentence that begins with the file's name."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path} {problem}")
        self.problem = problem


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of at most a few megabytes. Raises `BadFileError`."""
    with _opened(path) as file:
        data = file.read(_MAX_JSON_BYTES + 1)
    if len(data) > _MAX_JSON_BYTES:
        raise BadFileError(path, f"is larger than {_MAX_JSON_BYTES // 10**6} MB")
    return _object(path, data)


def tensor_shapes(folder: Path, file: str = "model.safetensors") -> dict[str, Shape]:
    """The shapes of all tensors in a folder's safetensors files; empty without such files. Raises `BadFileError`."""
    files = [folder / file]
    if (folder / _INDEX).is_file() and not files[0].is_file():
        weight_map = read_json(folder / _INDEX).get("weight_map", {})
        if not isinstance(weight_map, dict) or not all(map(_is_file_name, weight_map.values())):
            raise BadFileError(folder / _INDEX, "must have a weight_map of tensors to file names")
        files = [folder / name for name in sorted(set(weight_map.values()))]
    return {name: shape for path in files if path.is_file() for name, shape in _shapes_of(path).items()}


def has_four_bit_weights(folder: Path) -> bool:
    """Whether the configuration says that matrices are kept in four bits: GPTQ, AWQ or compressed-tensors.

    Raises `BadFileError`.
    """
    said = read_json(folder / CONFIG).get("quantization_config")
    if not isinstance(said, dict):
        return False
    groups = said.get("config_groups")
    schemes = [group for group in groups.values() if isinstance(group, dict)] if isinstance(groups, dict) else []
    weights = [scheme["weights"] for scheme in schemes if isinstance(scheme.get("weights"), dict)]
    return 4 in (said.get("bits"), *(each.get("num_bits") for each in weights))


def _shapes_of(path: Path) -> dict[str, Shape]:
    """Reads only the header: eight bytes with its length, then JSON."""
    with _opened(path) as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 2**64
        room = os.fstat(file.fileno()).st_size - 8
        if length > min(room, _MAX_JSON_BYTES):
            raise BadFileError(path, "is not a safetensors file")
        header = _object(path, file.read(length))
    return {name: _shape(path, name, entry) for name, entry in header.items() if name != "__metadata__"}


def _is_file_name(name: object) -> bool:
    return isinstance(name, str) and name == PurePath(name).name and name.isprintable()


def _shape(path: Path, name: str, entry: Any) -> Shape:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise BadFileError(path, f"has no valid shape for the tensor {name[:100]!a}")
    return tuple(shape)


def _object(path: Path, data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except RecursionError:
        raise BadFileError(path, "is nested too deeply") from None
    except ValueError as error:  # not JSON, not UTF-8, or a number with too many digits
        raise BadFileError(path, f"is not valid JSON: {str(error)[:200]}") from error
    if not isinstance(content, dict):
        raise BadFileError(path, "must be a JSON object")
    return content


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Opens an ordinary file: a pipe or a device could make the reader wait, or never end. Raises `BadFileError`."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadFileError(path, "is not an ordinary file")
            yield file
    except OSError as error:
        raise BadFileError(path, f"cannot be read: {error.strerror or error}") from error
