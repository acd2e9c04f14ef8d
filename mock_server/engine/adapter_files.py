"""A LoRA adapter's folder, read before it reaches an engine: what it is, and whether it fits the base model."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .base import Adapter
from .checkpoint import Shape, read_json, tensor_shapes
from .errors import AdapterError, AdapterNotFoundError

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
MAX_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The limits on ranks that vLLM can be started with."""

_PREFIX = "base_model.model."
_NOT_SERVED = {
    "use_dora": "DoRA",
    "modules_to_save": "modules trained in full (modules_to_save)",
    "lora_bias": "biases (lora_bias)",
    "layer_replication": "replicated layers",
}
_log = logging.getLogger(__name__)


def is_adapter(folder: Path) -> bool:
    return (folder / CONFIG).is_file()


def smallest_max_rank(rank: int) -> int:
    """Raises `AdapterError` for a rank beyond what vLLM takes."""
    for limit in MAX_RANKS:
        if rank <= limit:
            return limit
    raise AdapterError(f"rank {rank} is above {MAX_RANKS[-1]}, the largest that vLLM serves")


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """`rank` is the largest of its modules; `base` is what its own configuration says it was trained on."""

    name: str
    folder: Path
    rank: int
    base: str

    @classmethod
    def read(cls, adapter: Adapter) -> "AdapterFiles":
        """Raises `AdapterError` for what no engine could serve, `AdapterNotFoundError` for no adapter at all."""
        folder = Path(adapter.path).expanduser()
        if not adapter.path:
            raise AdapterNotFoundError(f"the adapter {adapter.name} has no path: the form is name=path")
        if not is_adapter(folder):
            what = f"has no {CONFIG}" if folder.is_dir() else "does not exist"
            raise AdapterNotFoundError(f"adapter {adapter.name}: {adapter.path} {what}")
        if not any((folder / name).is_file() for name in WEIGHTS):
            raise AdapterNotFoundError(f"adapter {adapter.name}: {adapter.path} has no {' and no '.join(WEIGHTS)}")
        try:
            config = read_json(folder / CONFIG)
        except ValueError as exc:
            raise AdapterError(f"adapter {adapter.name}: {exc}") from exc
        _check_kind(adapter.name, config)
        return cls(adapter.name, folder, _rank(adapter.name, config), str(config.get("base_model_name_or_path") or ""))

    def check_rank(self, max_rank: int) -> None:
        """Raises `AdapterError`."""
        if self.rank > max_rank:
            raise AdapterError(
                f"adapter {self.name} has rank {self.rank}, the server is made for {max_rank}: start it with"
                f" --max-lora-rank {smallest_max_rank(self.rank)}"
            )

    def check_base(self, model: str) -> None:
        """That each matrix fits the one that it changes, as far as both are files here. Raises `AdapterError`."""
        base_shapes = tensor_shapes(Path(model))
        own_shapes = tensor_shapes(self.folder, "adapter_model.safetensors")
        changes = _changes(own_shapes)
        # where no name is known at all, the two only name their modules differently
        if any(f"{module}.weight" in base_shapes for module in changes):
            for module, shape in changes.items():
                self._check_module(module, shape, base_shapes, model)
        if self.base and _last_part(self.base) != _last_part(model):
            _log.warning("adapter %s says that it was trained on %s; it is served on %s", self.name, self.base, model)

    def _check_module(self, module: str, shape: Shape, base_shapes: dict[str, Shape], model: str) -> None:
        base_shape = base_shapes.get(f"{module}.weight")
        if base_shape is None and any(name.startswith(f"{module}.") for name in base_shapes):
            return  # quantized: its matrices have other names and shapes
        if base_shape != shape:
            has = "no such module" if base_shape is None else f"one of {_shown(base_shape)}"
            trained_on = f" It says that it was trained on {self.base}." if self.base else ""
            raise AdapterError(
                f"adapter {self.name} belongs to another base model: its {module} is {_shown(shape)},"
                f" {model} has {has}.{trained_on}"
            )


def _check_kind(name: str, config: dict[str, Any]) -> None:
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise AdapterError(f"adapter {name} is of type {kind}; only LORA can be served")
    for field, words in _NOT_SERVED.items():
        if config.get(field):
            raise AdapterError(f"adapter {name} uses {words}, which cannot be served: merge it into its base model")


def _rank(name: str, config: dict[str, Any]) -> int:
    given = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
    ranks = [rank for rank in given if isinstance(rank, int) and rank > 0]
    if len(ranks) < len(given):
        raise AdapterError(f"adapter {name}: r in its {CONFIG} must be a positive integer (got {config.get('r')!r})")
    return max(ranks)


def _changes(shapes: dict[str, Shape]) -> dict[str, Shape]:
    """The shape of the base's matrix that each pair of A (rank × in) and B (out × rank) changes."""
    changes: dict[str, Shape] = {}
    for name, shape in shapes.items():
        module, found, _ = name.removeprefix(_PREFIX).partition(".lora_A.")
        other = shapes.get(name.replace(".lora_A.", ".lora_B."))
        if found and other is not None and len(shape) == len(other) == 2:
            changes[module] = (other[0], shape[1])
    return changes


def _shown(shape: Shape) -> str:
    return "×".join(map(str, shape))


def _last_part(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2].lower()
