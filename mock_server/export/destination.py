"""A folder that appears only when it is whole: it is written beside its place, and renamed at the end."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mock_server.engine.wording import Setting
from mock_server.export.errors import ExportError, ExportOptionError
from mock_server.training.disk import needed_text

_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


def check_destination(target: Path, *, overwrite: bool) -> None:
    """Raises `ExportOptionError` if something is there that may not be replaced."""
    if target.exists() and not overwrite:
        raise ExportOptionError(
            f"{target} exists already: remove it, set ",
            Setting("overwrite", True),
            ", or name another ",
            Setting("output_dir"),
        )
    if target.exists() and not target.is_dir():
        raise ExportOptionError(Setting("output_dir", str(target)), " is a file: name a folder")


def check_room(target: Path, needed: int) -> None:
    """Raises `ExportError` if the disk lacks the bytes."""
    place = next(folder for folder in target.parents if folder.is_dir())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise ExportError(
            f"{target} needs {needed_text(needed, free)}: free some, or name another ", Setting("output_dir")
        )


@contextmanager
def written_beside(target: Path) -> Iterator[Path]:
    """An empty folder that becomes `target` when the block ends, and is removed when it fails.

    What an export left that was killed is removed first. Raises `ExportError` if another export writes the same.
    """
    partial = target.with_name(f".{target.name}.partial")
    replaced = target.with_name(f".{target.name}.replaced")
    lock = target.with_name(f".{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = _take(lock, target)
    except OSError as error:
        raise ExportError(f"{target.parent} cannot be written: {error.strerror or error}") from None
    try:
        _recover(target, partial, replaced)
        try:
            partial.mkdir()
            yield partial
            _make_readable(partial)
            _put_in_place(partial, target, replaced)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            if replaced.exists() and not target.exists():  # interrupted between two renames
                replaced.rename(target)
            lock.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _take(lock: Path, target: Path) -> int:
    """A descriptor of the file, locked."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise ExportError(f"another export writes {target}: wait for it to end, or stop it") from None
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # an export that has just ended removed the file


def _recover(target: Path, partial: Path, replaced: Path) -> None:
    """Cleans up after an export that was killed."""
    shutil.rmtree(partial, ignore_errors=True)
    if replaced.exists():
        if target.exists():
            shutil.rmtree(replaced)
        else:
            replaced.rename(target)


def _make_readable(folder: Path) -> None:
    """Libraries write weights for their owner alone."""
    for entry in (folder, *folder.rglob("*")):
        entry.chmod(_FOLDER_MODE if entry.is_dir() else _FILE_MODE)


def _put_in_place(partial: Path, target: Path, replaced: Path) -> None:
    if target.exists():
        target.rename(replaced)
    partial.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)
