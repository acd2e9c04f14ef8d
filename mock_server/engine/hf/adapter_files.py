"""A LoRA adapter's folder, read before it reaches an engine: what it is, and whether it fits the base model."""

from __future__ import annotations

import logging
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mock_server.engine.base import Adapter
from mock_server.engine.errors import AdapterError, AdapterNotFoundError
from mock_server.engine.hf.checkpoint import BadFileError, Shape, read_json, tensor_shapes
from mock_server.engine.lora_ranks import smallest_max_rank
from mock_server.engine.wording import Setting

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")

_PREFIX = "base_model.model."
_NOT_SERVED = {
    "use_dora": "DoRA",
    "modules_to_save": "modules trained in full (modules_to_save)",
    "lora_bias": "biases (lora_bias)",
    "layer_replication": "replicated layers",
}
_HIGHEST_RANK = 65_536
_MOST_SHOWN = 300
_log = logging.getLogger(__name__)


def is_adapter(folder: Path) -> bool:
    try:
        return (folder / CONFIG).is_file()
    except (OSError, ValueError):  # the path is too long, its folder may not be entered, or it has a null character
        return False


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """`rank` is the largest rank of its modules. `base` is the model that its configuration names."""

    name: str
    folder: Path
    rank: int
    base: str

    @classmethod
    def read(cls, adapter: Adapter) -> AdapterFiles:
        """Raises `AdapterNotFoundError` if there is no adapter, `AdapterError` if no engine could serve it."""
        name, path = adapter.name, adapter.path
        if not path:
            raise AdapterNotFoundError(f"the adapter {name} has no path: write name=path")
        folder = _folder(name, path)
        if not is_adapter(folder):
            what = f"has no {CONFIG}" if folder.is_dir() else "does not exist"
            _not_found(name, f"{shown(path)} {what}")
        if not any((folder / file).is_file() for file in WEIGHTS):
            _not_found(name, f"{shown(path)} has no {' and no '.join(WEIGHTS)}")
        try:
            config = read_json(folder / CONFIG)
        except BadFileError as error:
            public = f"adapter {name}: its {CONFIG} {error.problem}"
            raise AdapterError(f"adapter {name}: {error}", public=public) from error
        _check_kind(name, config)
        return cls(name, folder, _rank(name, config), _base(name, config))

    def check_rank(self, max_rank: int) -> None:
        """Raises `AdapterError`."""
        if self.rank > max_rank:
            raise AdapterError(
                f"adapter {self.name} has rank {self.rank}, and the engine takes at most {max_rank}: start it with ",
                Setting("max_lora_rank", smallest_max_rank(self.rank)),
            )

    def check_base(self, model: str) -> None:
        """Checks that each matrix fits the one that it changes, if both are files here. Raises `AdapterError`."""
        base_shapes = self._tensor_shapes(Path(model), "model.safetensors")
        own_shapes = self._tensor_shapes(self.folder, WEIGHTS[0])
        if (odd := next((tensor for tensor in own_shapes if ".lora_" not in tensor), None)) is not None:
            raise AdapterError(
                f"adapter {self.name} replaces {shown(odd)} of the base model, which cannot be served: merge it into"
                " its base model"
            )
        changes = _changes(own_shapes)
        # if no name is known, the two only name their modules differently
        if any(f"{module}.weight" in base_shapes for module in changes):
            for module, shape in changes.items():
                self._check_module(module, shape, base_shapes, model)
        if self.base and _last_part(self.base) != _last_part(model):
            says = "adapter %s says that it was trained on %s; it is served on %s"
            _log.warning(says, self.name, shown(self.base), model)

    def _tensor_shapes(self, folder: Path, file: str) -> dict[str, Shape]:
        try:
            return tensor_shapes(folder, file)
        except BadFileError as error:
            public = f"adapter {self.name}: {file} {error.problem}"
            raise AdapterError(f"adapter {self.name}: {error}", public=public) from error

    def _check_module(self, module: str, shape: Shape, base_shapes: dict[str, Shape], model: str) -> None:
        base_shape = base_shapes.get(f"{module}.weight")
        if base_shape is None and any(name.startswith(f"{module}.") for name in base_shapes):
            return  # quantized: the matrices have other names and shapes
        if base_shape != shape:
            has = "no such module" if base_shape is None else f"one of {_shown(base_shape)}"
            trained_on = f" It says that it was trained on {shown(self.base)}." if self.base else ""
            own = f"adapter {self.name} belongs to another base model: its {shown(module)} is {_shown(shape)},"
            raise AdapterError(f"{own} {model} has {has}.{trained_on}", public=f"{own} the base model has {has}.")


def shown(text: str) -> str:
    """Text from outside, for a message of one line."""
    text = text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
    return text if text.isprintable() else ascii(text)


def _folder(name: str, path: str) -> Path:
    try:
        folder = Path(path).expanduser()
        folder.is_dir()
        return folder
    except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user, or a null character
        _not_found(name, f"{shown(path)} is not a path: {getattr(error, 'strerror', None) or error}")


def _not_found(name: str, problem: str) -> NoReturn:
    """Callers get the same message in all cases, so they cannot find out which files exist on this machine."""
    public = f"adapter {name}: there is no adapter at this path (a folder with {CONFIG} and {' or '.join(WEIGHTS)})"
    raise AdapterNotFoundError(f"adapter {name}: {problem}", public=public)


def _check_kind(name: str, config: dict[str, Any]) -> None:
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        kind = shown(kind if isinstance(kind, str) else reprlib.repr(kind))
        raise AdapterError(f"adapter {name} is of type {kind}; only LORA can be served")
    if config.get("bias") not in (None, "none"):
        raise AdapterError(
            f"adapter {name} changes biases of the base model (bias), which cannot be served: merge it into its base"
            " model"
        )
    for field, words in _NOT_SERVED.items():
        if config.get(field):
            raise AdapterError(f"adapter {name} uses {words}, which cannot be served: merge it into its base model")


def _rank(name: str, config: dict[str, Any]) -> int:
    pattern = config.get("rank_pattern") or {}
    if not isinstance(pattern, dict):
        raise AdapterError(f"adapter {name}: rank_pattern in its {CONFIG} must be an object")
    given = {"r": config.get("r"), **{f"rank_pattern of {key}": rank for key, rank in pattern.items()}}
    ranks = [rank for rank in given.values() if type(rank) is int and 0 < rank <= _HIGHEST_RANK]
    if len(ranks) < len(given):
        field = next(field for field, rank in given.items() if rank not in ranks or type(rank) is not int)
        raise AdapterError(
            f"adapter {name}: {shown(field)} in its {CONFIG} must be a positive integer up to {_HIGHEST_RANK}"
            f" (got {shown(reprlib.repr(given[field]))})"
        )
    return max(ranks)


def _base(name: str, config: dict[str, Any]) -> str:
    base = config.get("base_model_name_or_path") or ""
    if not isinstance(base, str):
        raise AdapterError(f"adapter {name}: base_model_name_or_path in its {CONFIG} must be a string")
    return base


def _changes(shapes: dict[str, Shape]) -> dict[str, Shape]:
    """For each pair of A (rank × in) and B (out × rank), the shape of the base's matrix that it changes."""
    changes: dict[str, Shape] = {}
    for name, shape in shapes.items():
        module, found, _ = name.removeprefix(_PREFIX).partition(".lora_A.")
        other = shapes.get(name.replace(".lora_A.", ".lora_B."))
        if found and other is not None and len(shape) == len(other) == 2:
            changes[module] = (other[0], shape[1])
    return changes


def _shown(shape: Shape) -> str:
    return shown("×".join(map(str, shape)))


def _last_part(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2].lower()
