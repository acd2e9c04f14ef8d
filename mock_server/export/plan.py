"""What an export reads and writes, checked before anything heavy begins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mock_server.engine.dtypes import dtype_name
from mock_server.engine.errors import AdapterError
from mock_server.engine.hf import checkpoint
from mock_server.engine.hf.adapter_files import AdapterFiles
from mock_server.engine.wording import Setting
from mock_server.export.errors import ExportOptionError
from mock_server.models.source import ModelSource
from mock_server.training.fingerprint import fingerprint
from mock_server.training.settings import FILE as SFT_ARGS

DTYPES = ("float32", "bfloat16", "float16")
METHODS = ("gptq", "awq", "rtn")
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
_ROOM_FOR_FILES = 50_000_000  # tokenizer and configuration


@dataclass(frozen=True, slots=True)
class Merge:
    """An adapter and the folder of its base. `dtype` is the type of the merged weights."""

    adapter: Path
    base: Path
    dtype: str


@dataclass(frozen=True, slots=True)
class Quantization:
    """`data` are JSONL files to calibrate with; `samples` rows of at most `length` tokens are used."""

    method: str
    data: tuple[str, ...]
    samples: int
    length: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`model` is what is quantized if nothing is merged. `needed` is in bytes, at the end and on the way."""

    target: Path
    model: Path
    merge: Merge | None
    quantization: Quantization | None
    needed: int


def plan_export(
    source: ModelSource,
    *,
    merge_lora: bool,
    dtype: str | None,
    quantization: Quantization | None,
    output_dir: Path | None,
) -> Plan:
    """Raises `ExportOptionError`."""
    if not merge_lora and quantization is None:
        raise ExportOptionError("name what to do: ", Setting("merge_lora", True), " or ", Setting("quant_bits", 4))
    base = Path(source.path)
    if not base.is_dir():
        raise ExportOptionError(
            f"the model {source.path} is not a folder here: download it, and name the folder with ",
            Setting("model_id_or_path"),
        )
    base = base.resolve()
    config = _config(base)
    _check_not_quantized(base, config)
    merge = _merge(source, base, config, merge_lora=merge_lora, dtype=dtype)
    origin = base if merge is None else merge.adapter
    target = (output_dir or origin.with_name(_name(origin.name, merge, quantization))).expanduser().resolve()
    if any(target == folder or folder.is_relative_to(target) for folder in (base, origin)):
        raise ExportOptionError(
            Setting("output_dir", str(target)), " is or holds what is exported: name another folder"
        )
    return Plan(target, base, merge, quantization, _needed(base, merge, quantization))


def _merge(
    source: ModelSource, base: Path, config: dict[str, Any], *, merge_lora: bool, dtype: str | None
) -> Merge | None:
    if source.adapter is None:
        if merge_lora:
            raise ExportOptionError(
                Setting("merge_lora", True),
                f": {base} is a whole model, and there is no adapter to merge: leave it out",
            )
        if dtype is not None:
            raise ExportOptionError(Setting("dtype"), " is for ", Setting("merge_lora", True), ": leave it out")
        return None
    adapter = Path(source.adapter.path).resolve()
    if not merge_lora:
        raise ExportOptionError(
            f"{adapter} is an adapter: to quantize it with its base, add ", Setting("merge_lora", True)
        )
    try:
        files = AdapterFiles.read(source.adapter)
        _check_fingerprint(adapter, base)
        files.check_base(str(base))
    except AdapterError as error:
        raise ExportOptionError(*error.parts) from None
    return Merge(adapter, base, dtype_name(dtype) if dtype else _dtype(config))


def _check_fingerprint(adapter: Path, base: Path) -> None:
    """sft keeps what it trained on."""
    try:
        trained_on = checkpoint.read_json(adapter / SFT_ARGS)
    except ValueError:  # no such file, or ms-swift's own
        return
    wanted = trained_on.get("model_fingerprint")
    if wanted and wanted != fingerprint(base):
        said = trained_on.get("model_id_or_path")
        raise ExportOptionError(
            f"{adapter} belongs to another base: trained on other weights than those in {base} (it names {said}):"
            " name its base with ",
            Setting("model_id_or_path"),
        )


def _check_not_quantized(model: Path, config: dict[str, Any]) -> None:
    found = config.get("quantization_config")
    if found:
        kind = found.get("quant_method", "quantized") if isinstance(found, dict) else "quantized"
        raise ExportOptionError(f"{model} is quantized already ({kind}): name the model that it was made from")


def _config(folder: Path) -> dict[str, Any]:
    try:
        return checkpoint.read_json(folder / checkpoint.CONFIG)
    except ValueError as error:
        raise ExportOptionError(str(error)) from None


def _dtype(config: dict[str, Any]) -> str:
    found = dtype_name(config.get("dtype") or config.get("torch_dtype") or "float32")
    return found if found in DTYPES else "float32"


def _name(origin: str, merge: Merge | None, quantization: Quantization | None) -> str:
    name = f"{origin}-merged" if merge else origin
    return name if quantization is None else f"{name}-{quantization.method}-int4"


def _needed(base: Path, merge: Merge | None, quantization: Quantization | None) -> int:
    parameters = sum(math.prod(shape) for shape in checkpoint.tensor_shapes(base).values())
    whole = sum(file.stat().st_size for file in base.iterdir() if file.suffix in (".safetensors", ".bin"))
    merged = (parameters * _BYTES[merge.dtype] or whole) if merge else 0
    return merged + (whole if quantization else 0) + _ROOM_FOR_FILES
