"""A run from its options to its end: reads the data, makes the folder or resumes one, and trains."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mock_server.dataset.rows import DatasetError, read_samples
from mock_server.dataset.sample import Sample
from mock_server.dataset.saved import find_saved, save_dataset
from mock_server.dataset.self_cognition import read_identity
from mock_server.dataset.source import load_samples, parse_source
from mock_server.engine.wording import Setting
from mock_server.training import run_folder
from mock_server.training.disk import full_disk
from mock_server.training.environment import prepare
from mock_server.training.errors import TrainingError, TrainingOptionError
from mock_server.training.fingerprint import fingerprint
from mock_server.training.outcome import Outcome
from mock_server.training.ranks import train_in_ranks
from mock_server.training.settings import TrainSettings, read_settings, resumed_settings
from mock_server.training.split import split, with_answers
from mock_server.training.stopping import StopRequest, signals_ask

Rows = tuple[list[Sample], list[Sample]]
"""To train on, and held back."""


@dataclass(frozen=True, slots=True)
class Run:
    """`checkpoint` is where the run goes on; None from the beginning."""

    folder: Path
    settings: TrainSettings
    checkpoint: Path | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """`checkpoint` is the newest that is complete; None if there is none."""

    outcome: Outcome
    checkpoint: Path | None


def start_run(settings: TrainSettings, rows: Rows, output_dir: Path, name: str, now: datetime) -> Run:
    """Makes the folder and keeps the rows in it. Raises `TrainingError`."""
    train, val = rows
    folder = run_folder.new_run(output_dir, name, now)
    try:
        settings.write(folder)
        save_dataset(folder, train, val)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise TrainingError(f"{folder} cannot be written: {error.strerror or error}") from None
    return Run(folder, settings)


def resume_run(given: Mapping[str, Any], typed: Collection[str], checkpoint: Path) -> Run:
    """Takes up a run where it has a checkpoint. What was typed must fit it. Raises `TrainingError`, `DatasetError`."""
    checkpoint = run_folder.find_checkpoint(checkpoint)
    folder = checkpoint.parent
    saved = read_settings(checkpoint)
    settings = resumed_settings(saved, given, typed)
    model = Path(saved.model_id_or_path)
    if saved.model_fingerprint is not None and (
        not model.is_dir() or model_fingerprint(saved.model_id_or_path) != saved.model_fingerprint
    ):
        raise TrainingOptionError(
            f"{checkpoint} was trained on {model}, and there is now another model, or none: put it back to resume"
        )
    if "dataset" in typed and load_rows(settings) != _saved_rows(folder):
        raise TrainingOptionError(
            Setting("dataset", " ".join(settings.dataset)),
            f" has other rows than the run has in {folder}: leave it out to go on with those, or start a new run",
        )
    return Run(folder, settings, checkpoint)


def train(run: Run, say: Any) -> Ended:
    """Raises `TrainingError`, `KeyboardInterrupt` if it was interrupted before there was anything to save."""
    stop = StopRequest(run.folder)
    with run_folder.locked(run.folder) as lock:
        stop.clear()
        run_folder.remove_incomplete(run.folder)
        run.settings.write(run.folder)
        if run.checkpoint is not None:
            step = run_folder.step_of(run.checkpoint) or 0
            run_folder.cut_log(run.folder, step)
            run_folder.set_aside_later(run.folder, step)
        try:
            with signals_ask(stop):
                outcome = _train(run, stop, lock, say)
        except OSError as error:
            problem = "no space left on its disk" if full_disk(error) else str(error)
            raise TrainingError(f"the run in {run.folder} ended: {problem}") from None
        finally:
            stop.clear()
            run_folder.remove_incomplete(run.folder)
            if not run_folder.checkpoints(run.folder) and run.checkpoint is None:
                shutil.rmtree(run.folder, ignore_errors=True)  # nothing was learned
    saved = run_folder.checkpoints(run.folder)
    return Ended(outcome, saved[-1] if saved else None)


def _train(run: Run, stop: StopRequest, lock: int, say: Any) -> Outcome:
    if run.settings.nproc_per_node > 1:
        return train_in_ranks(run.folder, run.settings, run.checkpoint, stop, lock)
    prepare(run.settings)
    from mock_server.training import trainer

    return trainer.train(run.folder, run.settings, run.checkpoint, stop, say)


def model_fingerprint(model: str) -> str | None:
    """None for a model on the hub. Raises `TrainingError`."""
    folder = Path(model)
    if not folder.is_dir():
        return None
    try:
        return fingerprint(folder)
    except OSError as error:
        raise TrainingError(f"the model in {folder} cannot be read: {error.strerror or error}") from None


def load_rows(settings: TrainSettings) -> Rows:
    """The rows to train on, and those that are held back. Raises `DatasetError`."""
    sources = [parse_source(text) for text in settings.dataset]
    if not sources:
        raise DatasetError("name what to train on with ", Setting("dataset"))
    identity = read_identity(settings.model_name, settings.model_author)
    samples = with_answers(load_samples(sources, seed=settings.seed, identity=identity), settings.system)
    train, val = split(samples, settings.dataset_test_ratio, settings.seed)
    return _plain(train), _plain(val)


def _saved_rows(folder: Path) -> Rows:
    saved = find_saved(folder)
    return _plain(read_samples(saved.train)), _plain(read_samples(saved.val)) if saved.val else []


def _plain(samples: Sequence[Sample]) -> list[Sample]:
    """Without where they come from."""
    return [dataclasses.replace(sample, origin="") for sample in samples]
