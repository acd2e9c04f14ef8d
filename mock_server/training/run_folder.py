"""The folder of a run: `OUTPUT/MODEL/vN-TIME`, with the checkpoints `checkpoint-STEP` in it."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mock_server.engine.hf.adapter_files import CONFIG, WEIGHTS
from mock_server.engine.wording import Setting
from mock_server.training import settings
from mock_server.training.errors import TrainingError, TrainingOptionError

STATE = "trainer_state.json"
"""Written last into a checkpoint."""
LOG = "logging.jsonl"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_RUN = re.compile(r"v(\d+)-\d{8}-\d{6}")
_NEEDED = (CONFIG, WEIGHTS[0], "optimizer.pt", "scheduler.pt")
_UNFIT = re.compile(r"[^\w.-]+")


def new_run(output_dir: Path, model: str, now: datetime) -> Path:
    """An empty folder with the next number. Raises `TrainingError`."""
    parent = output_dir / (_UNFIT.sub("-", model).strip("-.") or "model")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        numbers = [int(found[1]) for entry in parent.iterdir() if (found := _RUN.fullmatch(entry.name))]
        number = max(numbers, default=-1) + 1
        while True:  # another run may start at the same time
            run = parent / f"v{number}-{now:%Y%m%d-%H%M%S}"
            try:
                run.mkdir()
                return run.resolve()
            except FileExistsError:
                number += 1
    except OSError as error:
        raise TrainingError(
            Setting("output_dir", str(output_dir)), f" cannot be written: {error.strerror or error}"
        ) from None


def step_of(checkpoint: Path) -> int | None:
    found = _CHECKPOINT.fullmatch(checkpoint.name)
    return int(found[1]) if found else None


def is_complete(checkpoint: Path) -> bool:
    """Whether all of it was written before the run ended, however that ended."""
    if not all((checkpoint / name).is_file() for name in (*_NEEDED, settings.FILE)):
        return False
    try:
        state = json.loads((checkpoint / STATE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(state, dict) and state.get("global_step") == step_of(checkpoint)


def checkpoints(run: Path) -> list[Path]:
    """Those that are complete, by their steps."""
    folders = [entry for entry in run.iterdir() if step_of(entry) is not None and is_complete(entry)]
    return sorted(folders, key=lambda folder: step_of(folder) or 0)


def remove_oldest(run: Path, keep: int) -> None:
    """Removes complete checkpoints until there are `keep`."""
    for folder in checkpoints(run)[:-keep]:
        shutil.rmtree(folder, ignore_errors=True)


def set_aside_later(run: Path, step: int) -> None:
    """Renames checkpoints of later steps: a run that goes on from an earlier one takes another way."""
    for folder in checkpoints(run):
        if (step_of(folder) or 0) > step:
            numbers = (folder.with_name(f"replaced-{number}-{folder.name}") for number in itertools.count(1))
            folder.rename(next(place for place in numbers if not place.exists()))


def remove_incomplete(run: Path) -> None:
    """Removes checkpoints that were being written when the run ended. Call it only with the run locked."""
    for entry in run.iterdir():
        if step_of(entry) is not None and not is_complete(entry):
            shutil.rmtree(entry, ignore_errors=True)


def find_checkpoint(given: Path) -> Path:
    """The checkpoint to resume: the given one, or the newest of the given run. Raises `TrainingOptionError`."""
    option = Setting("resume_from_checkpoint", str(given))
    folder = given.expanduser()
    if not folder.is_dir():
        raise TrainingOptionError(option, ": there is no such folder")
    folder = folder.resolve()
    run = folder if step_of(folder) is None else folder.parent
    found = checkpoints(run)
    if folder == run:
        if not found:
            raise TrainingOptionError(option, " has no complete checkpoint: start a new run without it")
        return found[-1]
    if folder not in found:
        newest = f": the newest complete one of this run is {found[-1]}" if found else ", nor is any other of its run"
        raise TrainingOptionError(option, f" is not a complete checkpoint of sft{newest}")
    return folder


def cut_log(run: Path, step: int) -> None:
    """Removes the lines of later steps from the log: a resumed run writes them again."""
    file = run / LOG
    if not file.exists():
        return
    kept = [line for line in file.read_text("utf-8").splitlines() if _step_in(line) <= step]
    partial = file.with_name(f".{LOG}.partial")
    partial.write_text("".join(f"{line}\n" for line in kept), "utf-8")
    partial.replace(file)


def _step_in(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except (KeyError, TypeError, ValueError):  # cut off by a kill
        return float("inf")


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Keeps other runs out of the folder, as long as this process or one that inherits the descriptor lives.

    Raises `TrainingError` if another run is in it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(f"another run is training in {folder}: wait for it to end, or stop it") from None
        yield handle
    finally:
        os.close(handle)
