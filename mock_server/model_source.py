"""Which model is meant: from a type, a hub id, a folder or a checkpoint to where it is and what it is called."""

import re
from dataclasses import dataclass
from pathlib import Path

from .engine import checkpoint
from .engine.adapter_files import CONFIG as ADAPTER_CONFIG
from .engine.adapter_files import is_adapter
from .engine.base import Adapter
from .model_types import ModelType, UnknownModelTypeError, find_model_type, model_type_of

DEFAULT_ADAPTER = "default-lora"
"""What an adapter given as --ckpt-dir is called."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_UNFIT_FOR_A_NAME = re.compile(r"[\s,]+")


class ModelSourceError(ValueError):
    """No model can be found from what was said; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """`path` is a folder or a hub id; `adapter` is one that the model was named by."""

    path: str
    name: str
    type: ModelType | None = None
    adapter: Adapter | None = None


def find_model(
    *, model_type: str | None = None, model_id_or_path: str | None = None, ckpt_dir: str | None = None
) -> ModelSource | None:
    """None when nothing was said. Raises `ModelSourceError`."""
    known = _known_type(model_type)
    if ckpt_dir is not None:
        return _from_checkpoint(Path(ckpt_dir).expanduser(), model_id_or_path, known)
    if model_id_or_path is not None:
        return _from_path(model_id_or_path, known, "--model-id-or-path")
    return ModelSource(known.hub_id, known.name, known) if known is not None else None


def _known_type(model_type: str | None) -> ModelType | None:
    try:
        return None if model_type is None else find_model_type(model_type)
    except UnknownModelTypeError as exc:
        raise ModelSourceError(str(exc)) from None


def _from_path(path: str, known: ModelType | None, flag: str) -> ModelSource:
    folder = Path(path).expanduser()
    if folder.is_dir():
        _check_model_folder(folder, flag)
        return ModelSource(str(folder), known.name if known else folder_name(folder), known)
    if not _HUB_ID.fullmatch(path) or path.startswith("."):
        raise ModelSourceError(f"{flag} {path}: there is no such folder, and it is no hub id (owner/name)")
    known = known or model_type_of(path)
    return ModelSource(path, known.name if known else path, known)


def _check_model_folder(folder: Path, flag: str) -> None:
    if is_adapter(folder):
        raise ModelSourceError(
            f"{flag} {folder} is an adapter: name it by --ckpt-dir, or by --lora-modules name={folder}"
        )
    if not (folder / checkpoint.CONFIG).is_file():
        raise ModelSourceError(f"{flag} {folder} has no {checkpoint.CONFIG}: it holds no model in Hugging Face's form")


def _from_checkpoint(folder: Path, model_id_or_path: str | None, known: ModelType | None) -> ModelSource:
    if not folder.is_dir():
        raise ModelSourceError(f"--ckpt-dir {folder}: there is no such folder")
    if not is_adapter(folder):
        if model_id_or_path is not None:
            raise ModelSourceError(
                f"--ckpt-dir {folder} is a model, not an adapter: leave --model-id-or-path {model_id_or_path} out"
            )
        _check_model_folder(folder, "--ckpt-dir")
        return ModelSource(str(folder), known.name if known else folder_name(folder), known)
    base = _base(folder, model_id_or_path, known)
    return ModelSource(base.path, base.name, base.type, Adapter(DEFAULT_ADAPTER, str(folder)))


def _base(adapter: Path, model_id_or_path: str | None, known: ModelType | None) -> ModelSource:
    """The model that an adapter belongs to: as said, else as its own configuration says."""
    if model_id_or_path is not None:
        return _from_path(model_id_or_path, known, "--model-id-or-path")
    if known is not None:
        return ModelSource(known.hub_id, known.name, known)
    try:
        said = checkpoint.read_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    except ValueError as exc:
        raise ModelSourceError(f"--ckpt-dir: {exc}") from None
    remedy = "name its base model by --model-id-or-path"
    if not said:
        raise ModelSourceError(f"--ckpt-dir {adapter} does not say what model it belongs to: {remedy}")
    try:
        return _from_path(str(said), None, f"the base of --ckpt-dir {adapter},")
    except ModelSourceError as exc:
        raise ModelSourceError(f"{exc}; {remedy}") from None


def folder_name(folder: Path) -> str:
    """A folder's own name, fit to be a model's."""
    return _UNFIT_FOR_A_NAME.sub("-", folder.resolve().name) or "model"
