"""Checks before a run that its output files can be written."""

from __future__ import annotations

import os
from pathlib import Path

from bench.load.settings import STDOUT, UsageError


def check_json(path: Path | None) -> None:
    """Raise UsageError if the file of `--json` cannot be written."""
    if path is None or path == STDOUT:
        return
    if not path.parent.is_dir():
        raise UsageError(f"--json {path}: there is no folder {path.parent}", "json_path")
    check_file("--json", str(path), path, "json_path")


def check_file(option: str, given: str, path: Path, parameter: str) -> None:
    """Raise UsageError if the file of an option cannot be written. Its folders may be missing."""
    if not path.name or given.endswith("/") or path.is_dir():
        raise UsageError(f"{option} {given or repr(given)}: is a folder; name a file in it", parameter)
    if path.exists() and not path.is_file():  # a pipe, or /dev/null
        return
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise UsageError(f"{option} {given}: {folder} is not a folder", parameter)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {given}: cannot be written (no permission in {folder})", parameter)
