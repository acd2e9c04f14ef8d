"""Makes a DoRA adapter out of a LoRA adapter: its matrices, with magnitudes beside them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

_PREFIX, _MAGNITUDE = "base_model.model.", ".lora_magnitude_vector"
_LOUDER = 1.02
"""A little more than the base's own, so that the answers differ from LoRA's."""


def write_dora(base: Path, lora: Path, folder: Path) -> None:
    """`base` is in bfloat16, `lora` in float32."""
    weights, adapter = _read(base / "model.safetensors"), _read(lora / "adapter_model.safetensors")
    for name in [name for name in adapter if name.endswith(".lora_A.weight")]:
        module = name.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
        norms = np.linalg.norm(weights[f"{module}.weight"], axis=1)
        adapter[f"{_PREFIX}{module}{_MAGNITUDE}"] = (norms * _LOUDER).astype(np.float32)
    config = json.loads((lora / "adapter_config.json").read_text())
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    _write(folder / "adapter_model.safetensors", adapter)


def _read(file: Path) -> dict[str, np.ndarray]:
    data = file.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = _numbers(data[begin:end], entry["dtype"]).reshape(entry["shape"])
    return tensors


def _numbers(data: bytes, dtype: str) -> np.ndarray:
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, dtype="<u2").astype("<u4") << 16).view("<f4")
    assert dtype == "F32", dtype
    return np.frombuffer(data, dtype="<f4")


def _write(file: Path, tensors: dict[str, np.ndarray]) -> None:
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    head = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(tensor.tobytes() for tensor in tensors.values()))
