"""Reads runs back from their folders, with their records checked."""

from __future__ import annotations

from pathlib import Path

from bench.checks.plausible import implausible
from bench.figures.token_flow import Moments
from bench.load.settings import UsageError
from bench.records.damage import missing_moments, missing_records
from bench.records.record import Columns
from bench.records.recovery import is_incomplete, recover
from bench.records.run import Run
from bench.records.run_folder import REQUESTS, RUN, ResultError, load_run
from bench.records.spool import read_chunks


def read_run(path: Path) -> tuple[Run, Columns, Moments, Path]:
    """A run, its records, and its folder. What a killed bench had in progress is recovered. Raises UsageError."""
    try:
        facts, columns, moments = load_run(path)
        if is_incomplete(facts):
            columns = recover(facts, columns, moments.parent)
        elif (lack := missing_moments(columns, read_chunks(moments))) is not None:
            raise ResultError(f"{moments}: damaged: it {lack}{_what_is_left(moments.parent)}")
        elif (lack := missing_records(columns, read_chunks(moments))) is not None:
            raise ResultError(f"{moments.with_name(REQUESTS)}: damaged: it {lack}{_what_is_left(moments.parent)}")
        if (strange := implausible(facts, columns)) is not None:
            raise ResultError(f"{moments.parent}: not a run of this tool: {strange}")
    except (ResultError, OSError) as error:
        raise UsageError(str(error)) from None
    return facts, columns, lambda: read_chunks(moments), moments.parent


def run_folders(path: Path) -> list[Path]:
    """The folder of a run itself, or the folders of all runs that a folder holds, by name."""
    if not path.is_dir() or (path / RUN).exists():
        return [path]
    return sorted(folder for folder in path.iterdir() if (folder / RUN).is_file()) or [path]


def _what_is_left(folder: Path) -> str:
    return "; the figures of the run are in its result.json" if (folder / "result.json").is_file() else ""
