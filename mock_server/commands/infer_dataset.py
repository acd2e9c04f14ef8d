"""Reads the options of `infer` about a dataset: which rows, and where their results go."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mock_server.commands.engine_choice import kind_of
from mock_server.commands.model_access import OwnModel, RunningServer
from mock_server.commands.wrong_use import DeployError
from mock_server.dataset.sample import Sample
from mock_server.dataset.saved import find_saved
from mock_server.dataset.self_cognition import read_identity
from mock_server.dataset.source import DatasetSource, load_samples, parse_source
from mock_server.engine.options import ANSWERS, MODEL, described
from mock_server.engine.wording import Setting

_FOLDER = "infer_result"
_NOT_IN_NAMES = re.compile(r"[^\w.#-]+")
_LONGEST_NAME = 80
_CHANGE_ANSWERS = ("dtype", "quantization", "max_model_len", "torch_dtype")
"""Options of engines under other headings that may change an answer."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`run` is what results in one file must have in common, without the model's name; as JSON."""

    samples: Sequence[Sample]
    result_path: Path
    overwrite: bool
    at_once: int
    run: Mapping[str, Any]


def read_evaluation(options: Mapping[str, Any], access: RunningServer | OwnModel) -> Evaluation | None:
    """None if no dataset is named. Raises `DeployError` and `DatasetError`."""
    sources = _sources(options)
    if not sources:
        _check_unused(options)
        return None
    identity = read_identity(options["model_name"], options["model_author"])
    samples = load_samples(sources, seed=options["dataset_seed"], identity=identity)
    wanted = options["val_dataset_sample"]
    if wanted is not None and wanted < len(samples):
        drawn = sorted(random.Random(options["dataset_seed"]).sample(range(len(samples)), wanted))
        samples = [samples[number] for number in drawn]
    run = {
        "dataset": " ".join(map(str, sources)),
        "rows": len(samples),
        "sha256 of the rows": _digest(samples),
        **_settings(access),
    }
    path = options["result_path"]
    result_path = _default_path(options, sources, access) if path is None else Path(path).expanduser()
    return Evaluation(samples, result_path, options["overwrite"], options["max_batch_size"], run)


def _sources(options: Mapping[str, Any]) -> list[DatasetSource]:
    """Raises `DeployError` and `DatasetError`."""
    named = [parse_source(text) for text in options["dataset"]]
    if not options["load_dataset_config"]:
        return named
    saved = Setting("load_dataset_config", True)
    if named:
        raise DeployError(saved, " and ", Setting("dataset"), " both name the data: leave one out")
    if options["ckpt_dir"] is None:
        raise DeployError(saved, " needs ", Setting("ckpt_dir"), ", beside which sft saved the data")
    found = find_saved(Path(options["ckpt_dir"]))
    if found.val is None:
        raise DeployError(
            saved, ": sft held no rows back here; evaluate on its training data with ", Setting("dataset", found.train)
        )
    return [DatasetSource(str(found.val))]


def _check_unused(options: Mapping[str, Any]) -> None:
    """Refuses options that would have no effect. Raises `DeployError`."""
    for name in ("val_dataset_sample", "model_name", "model_author", "result_path", "overwrite"):
        if options[name]:
            raise DeployError(Setting(name), " is for an evaluation: name the data with ", Setting("dataset"))


def _digest(samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(json.dumps([sample.messages, sample.response], ensure_ascii=False).encode("utf-8", "replace"))
    return digest.hexdigest()


def _settings(access: RunningServer | OwnModel) -> dict[str, Any]:
    """What changes the answers, by the names of the options."""
    if isinstance(access, RunningServer):
        return {"system": access.system, **access.request_fields}
    deployment = access.deployment
    settings = deployment.settings
    given = dataclasses.asdict(deployment.options)
    named = {
        option.name: given[option.name]
        for option in described(kind_of(deployment.engine).options)
        if option.heading in (ANSWERS, MODEL) or option.name in _CHANGE_ANSWERS
    }
    return {
        "engine": deployment.engine,
        "path": deployment.model.path,
        "adapters": {adapter.name: adapter.path for adapter in settings.adapters},
        "system": settings.system,
        "stop_words": list(settings.stop_strings),
        **{name: value for name, value in named.items() if value is not None},
        **access.request_fields,
    }


def _default_path(
    options: Mapping[str, Any], sources: Sequence[DatasetSource], access: RunningServer | OwnModel
) -> Path:
    """In the checkpoint's folder; without one, here, in a folder of the model's name."""
    stems = [Path(source.name).stem + ("" if source.count is None else f"#{source.count}") for source in sources]
    name = _NOT_IN_NAMES.sub("-", "+".join(stems))[:_LONGEST_NAME]
    if options["ckpt_dir"] is not None:
        return Path(options["ckpt_dir"]).expanduser() / _FOLDER / f"{name}.jsonl"
    return Path(_FOLDER) / _NOT_IN_NAMES.sub("-", access.model or "server") / f"{name}.jsonl"
