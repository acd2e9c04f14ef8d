"""The file of an evaluation's results: lines are added as rows finish, and a run that was killed goes on where it was.

Beside it, `NAME.run.json` says which dataset, model and settings the results are of.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mock_server.infer.result_row import ResultError, RowResult, read_result

_ANOTHER = "name another file with --result-path, or begin again with --overwrite true"
_MOST_DIFFERENCES = 4
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ResultsError(Exception):
    """The results cannot be written, or belong to another run. One line with the remedy."""


class ResultsFile:
    """Open for one process at a time. `results` are the rows that the file has, by their index."""

    def __init__(self, path: Path, run: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """`run` is what must not differ between the runs that write one file, as JSON has it.

        Raises `ResultsError`.
        """
        self.path = path
        self.results: dict[int, RowResult] = {}
        self._about = path.with_name(f"{path.name.removesuffix('.jsonl')}.run.json")
        self._kept: bytes | None = None
        """What stays of the file when the first row is added; None: all of it."""
        self._run = json.loads(json.dumps(run))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _lock(path)
        except OSError as error:
            raise self._problem(error) from None
        self._size = os.fstat(self._file).st_size
        self._has_begun = self._size > 0 and not overwrite
        try:
            if self._has_begun:
                self._go_on()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise self._problem(error) from None
            raise
        self.session = 1 + max((result.session for result in self.results.values()), default=0)

    def _go_on(self) -> None:
        self._check_run()
        good = self._read()
        if sum(map(len, good)) != self._size:  # a half line at the end, or rows that failed and will be asked again
            self._kept = b"".join(good)

    def _begin(self) -> None:
        """With the first row, so that a model that cannot be loaded does not cost the results before."""
        os.ftruncate(self._file, 0)
        self._size = 0
        _replace(self._about, json.dumps({"run": self._run}, indent=2, ensure_ascii=False).encode() + b"\n")
        self._has_begun = True

    def _check_run(self) -> None:
        """Raises `ResultsError`."""
        try:
            before = json.loads(self._about.read_text("utf-8"))["run"]
        except (OSError, ValueError, KeyError, TypeError):
            raise ResultsError(
                f"{self.path} exists, and {self._about.name} beside it does not say of which run it is: {_ANOTHER}"
            ) from None
        differences = [
            f"{name} was {_short(before.get(name))} and is now {_short(self._run.get(name))}"
            for name in {**before, **self._run}
            if before.get(name) != self._run.get(name)
        ]
        if differences:
            more = len(differences) - _MOST_DIFFERENCES
            said = "; ".join(differences[:_MOST_DIFFERENCES]) + (f"; and {more} more" if more > 0 else "")
            raise ResultsError(f"{self.path} has results of another run ({said}): {_ANOTHER}")

    def _read(self) -> list[bytes]:
        """The lines of rows that have been answered. Raises `ResultsError`."""
        good = []
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                break
            try:
                result = read_result(json.loads(line))
            except (ResultError, ValueError) as error:
                raise ResultsError(f"{self.path}, line {number}: {error}; {_ANOTHER}") from None
            if result.is_good and result.index not in self.results:
                self.results[result.index] = result
                good.append(line)
        return good

    def _rewrite(self, data: bytes) -> None:
        """Nobody else can lock the file in between: the new one is locked before it takes the place of the old."""
        new = self.path.with_name(f"{self.path.name}.part")
        file = _lock(new)
        try:
            os.ftruncate(file, 0)
            _write(file, data)
            os.replace(new, self.path)
        except BaseException:
            os.close(file)
            new.unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file, self._size = file, len(data)

    def add(self, line: Mapping[str, Any]) -> None:
        """Adds a row, whole or not at all. Raises `ResultsError`."""
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            if not self._has_begun:
                self._begin()
            if self._kept is not None:
                self._rewrite(self._kept)
                self._kept = None
            _write(self._file, data)
        except OSError as error:
            if self._has_begun:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._size)
            raise self._problem(error) from None
        self._size += len(data)
        result = read_result(line)
        self.results[result.index] = result

    def conclude(self, summary: Mapping[str, Any]) -> None:
        """Keeps the summary beside the results, if there are any. Raises `ResultsError`."""
        if not self._has_begun:
            return
        about = {"run": self._run, "summary": summary}
        try:
            _replace(self._about, json.dumps(about, indent=2, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise self._problem(error) from None

    def close(self) -> None:
        """Leaves no file without a row."""
        if os.fstat(self._file).st_size == 0:
            with contextlib.suppress(OSError):
                self._about.unlink(missing_ok=True)
                self.path.unlink(missing_ok=True)
        os.close(self._file)

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _problem(self, error: OSError) -> ResultsError:
        if isinstance(error, BlockingIOError):
            return ResultsError(f"{self.path} is being written by another evaluation: wait for it, or {_ANOTHER}")
        if error.errno in _NO_ROOM:
            remedy = "the rows that are there are kept; make room and run the same command again"
        else:
            remedy = "name another place with --result-path"
        return ResultsError(f"the results cannot be written to {self.path}: {error.strerror}; {remedy}")


def _lock(path: Path) -> int:
    """Opens the file for one process alone. Raises `OSError`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(f"{path.name}.part")
    new.write_bytes(data)
    os.replace(new, path)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
