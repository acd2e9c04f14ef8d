"""Finds a model's location and name from a type, a hub id, a folder or a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mock_server.engine.base import Adapter
from mock_server.engine.hf import checkpoint
from mock_server.engine.hf.adapter_files import CONFIG as ADAPTER_CONFIG
from mock_server.engine.hf.adapter_files import is_adapter
from mock_server.engine.wording import Part, Setting, WordedError
from mock_server.models.swift_args import SwiftArgs, read_swift_args
from mock_server.models.types import MODEL_TYPES, ModelType, UnknownModelTypeError, find_model_type, model_type_of

DEFAULT_ADAPTER = "default-lora"
"""The name of an adapter that is given as --ckpt-dir."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_UNFIT_FOR_A_NAME = re.compile(r"[\s,]+")

Origin = Callable[[Any], tuple[Part, ...]]


class ModelSourceError(WordedError, ValueError):
    """No model can be found. The message gives the reason and the remedy."""


class AdapterGivenError(ModelSourceError):
    """An adapter, in `folder`, was given instead of a model."""

    def __init__(self, folder: Path, *parts: Part) -> None:
        super().__init__(*parts)
        self.folder = folder


@dataclass(frozen=True, slots=True)
class ModelSource:
    """`path` is a folder or a hub id. `adapter` is the adapter that was given instead of the model, if any."""

    path: str
    name: str
    type: ModelType | None = None
    adapter: Adapter | None = None


def find_model(
    *, model_type: str | None = None, model_id_or_path: str | None = None, ckpt_dir: str | None = None
) -> ModelSource | None:
    """None if nothing was given. Raises `ModelSourceError`."""
    known = _known_type(model_type)
    if ckpt_dir is not None:
        return _from_checkpoint(Path(ckpt_dir).expanduser(), model_id_or_path, known)
    if model_id_or_path is not None:
        return _from_path(model_id_or_path, known)
    return ModelSource(known.hub_id, known.name, known) if known is not None else None


def _known_type(model_type: str | None) -> ModelType | None:
    try:
        return None if model_type is None else find_model_type(model_type)
    except UnknownModelTypeError as error:
        raise ModelSourceError(*error.parts) from None


def _given(path: object) -> tuple[Part, ...]:
    return (Setting("model_id_or_path", str(path)),)


def _from_path(path: str, known: ModelType | None, origin: Origin = _given) -> ModelSource:
    """`origin` describes in messages where a path comes from."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        _check_model_folder(folder, origin)
        return ModelSource(str(folder), known.name if known else folder_name(folder), known)
    if not _is_hub_id(path):
        raise ModelSourceError(*origin(path), ": there is no such folder, and it is not a hub id (owner/name)")
    known = known or model_type_of(path)
    return ModelSource(path, known.name if known else path, known)


def _is_hub_id(path: str) -> bool:
    return _HUB_ID.fullmatch(path) is not None and not path.startswith(".")


def _check_model_folder(folder: Path, origin: Origin) -> None:
    if is_adapter(folder):
        by_name = Setting("lora_modules", f"name={folder}")
        raise AdapterGivenError(
            folder, *origin(folder), " is an adapter: name it with ", Setting("ckpt_dir"), ", or with ", by_name
        )
    if not (folder / checkpoint.CONFIG).is_file():
        inner = folder / "default"  # where ms-swift saves an adapter
        if is_adapter(inner):
            raise AdapterGivenError(
                inner, *origin(folder), " contains an adapter in a subfolder: ", Setting("ckpt_dir", str(inner))
            )
        raise ModelSourceError(
            *origin(folder), f" has no {checkpoint.CONFIG}: it does not contain a model in Hugging Face's format"
        )


def _from_checkpoint(folder: Path, model_id_or_path: str | None, known: ModelType | None) -> ModelSource:
    if not folder.is_dir():
        raise ModelSourceError(Setting("ckpt_dir", str(folder)), ": there is no such folder")
    trained = read_swift_args(folder)
    known = known or _type_of(trained)
    if not is_adapter(folder):
        if model_id_or_path is not None:
            raise ModelSourceError(
                Setting("ckpt_dir", str(folder)),
                " is a model, not an adapter: leave ",
                Setting("model_id_or_path", model_id_or_path),
                " out",
            )
        _check_model_folder(folder, lambda path: (Setting("ckpt_dir", str(path)),))
        return ModelSource(str(folder), known.name if known else folder_name(folder), known)
    base = _base(folder, model_id_or_path, known, trained)
    return ModelSource(base.path, base.name, base.type, Adapter(DEFAULT_ADAPTER, str(folder)))


def _type_of(trained: SwiftArgs) -> ModelType | None:
    """The type with ms-swift's name if it is known, else that of the model's hub id."""
    by_name = MODEL_TYPES.get((trained.model_type or "").lower())
    return by_name or next(filter(None, map(model_type_of, trained.models)), None)


def _base(adapter: Path, model_id_or_path: str | None, known: ModelType | None, trained: SwiftArgs) -> ModelSource:
    """The model that an adapter belongs to: the given one, else a folder that the adapter names, else one on the hub.

    A given type determines name and template, and the hub id only if no folder is found.
    """
    if model_id_or_path is not None:
        return _from_path(model_id_or_path, known)
    try:
        said = _base_said(adapter)
    except ValueError as error:
        raise ModelSourceError(Setting("ckpt_dir"), f": {error}") from None
    named = [said, *trained.models] if said else list(trained.models)
    given = Setting("ckpt_dir", str(adapter))
    remedy = ("name its base model with ", Setting("model_id_or_path"))

    def base_of(path: object) -> tuple[Part, ...]:
        return ("the base of ", given, f", {path}")

    for name in named:
        folder = _local_base(adapter, name)
        if folder is not None:
            return _from_path(str(folder), known, base_of)
    if known is not None:
        return ModelSource(known.hub_id, known.name, known)
    if not named:
        raise ModelSourceError(given, " does not name the model that it belongs to: ", *remedy)
    hub_id = next((name for name in named if _is_hub_id(name)), named[0])
    try:
        return _from_path(hub_id, None, base_of)
    except ModelSourceError as error:
        raise ModelSourceError(*error.parts, "; ", *remedy) from None


def _local_base(adapter: Path, name: str) -> Path | None:
    """The model's folder of this name: relative to the current folder, as in peft, else to the adapter's folder."""
    path = Path(name).expanduser()
    folders = (path, (adapter / path).resolve())
    return next((folder for folder in folders if (folder / checkpoint.CONFIG).is_file()), None)


def simulated_name(
    *, model_type: str | None = None, model_id_or_path: str | None = None, ckpt_dir: str | None = None
) -> tuple[str | None, Adapter | None]:
    """The name of a simulated model that stands for another, and the adapter that was given instead of it, if any.
    Nothing has to exist.
    """
    adapter = None
    base = model_id_or_path
    if ckpt_dir is not None:
        folder = Path(ckpt_dir).expanduser()
        if is_adapter(folder):
            adapter = Adapter(DEFAULT_ADAPTER, str(folder))
            base = base or _base_or_other_name(folder)
        else:
            base = base or ckpt_dir
    if model_type is not None or base is None:
        return model_type, adapter
    return (folder_name(Path(base)) if not _is_hub_id(base) else base), adapter


def _base_said(adapter: Path) -> str | None:
    """The base model that an adapter's configuration names. Raises `ValueError`."""
    said = checkpoint.read_json(adapter / ADAPTER_CONFIG).get("base_model_name_or_path")
    return str(said) if said else None


def _base_or_other_name(adapter: Path) -> str:
    try:
        return _base_said(adapter) or "base"
    except ValueError:
        return "base"


def folder_name(folder: Path) -> str:
    """A folder's own name, changed so that it can be a model's."""
    return _UNFIT_FOR_A_NAME.sub("-", folder.resolve().name) or "model"
