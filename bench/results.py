"""The folder of a run: run.json, requests.jsonl (written as requests end), result.json; and how to read it back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.record import LOAD, Columns, Record
from bench.result import Result
from bench.run import SCHEMA, Run

RUN, REQUESTS, RESULT, SERVER_LOG = "run.json", "requests.jsonl", "result.json", "server.log"

_encode = msgspec.json.Encoder().encode
_Kind = TypeVar("_Kind", Run, Result)


class ResultError(ValueError):
    """A run that cannot be read back; the message names the file and what is wrong with it."""


class RunFolder:
    """Keeps a run on disk. A disk that fails costs the files, never the figures: `problem` says so, once.

    Each record is handed to the kernel as it comes, so that a crash of the bench loses none.
    """

    def __init__(self, parent: Path, began: datetime) -> None:
        self.problem: str | None = None
        self.path = parent / f"{began:%Y-%m-%d-%H%M%S}"
        self._file: int | None = None
        try:
            self.path = _make_folder(self.path)
            self._file = os.open(self.path / REQUESTS, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            self._give_up(error)

    @property
    def id(self) -> str:
        """The name of the run."""
        return self.path.name

    def keep(self, record: Record) -> None:
        """Write one record."""
        if self._file is None:
            return
        line = _encode(record) + b"\n"
        try:
            written = os.write(self._file, line)
            if written < len(line):  # the disk is full: the rest tells why
                os.write(self._file, line[written:])
        except OSError as error:
            self.close()
            self._give_up(error)

    def save_run(self, run: Run) -> None:
        """Write run.json, whole or not at all."""
        self._save(RUN, run)

    def save_result(self, result: Result) -> None:
        """Write result.json, whole or not at all."""
        self._save(RESULT, result)

    def close(self) -> None:
        """End the records."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _save(self, name: str, content: Run | Result) -> None:
        if self.problem is not None:
            return
        try:
            write_json(self.path / name, content)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        where = error.filename or self.path
        self.problem = f"results are not kept: {error.strerror or error} ({where}); --result-dir puts them elsewhere"


def _make_folder(path: Path) -> Path:
    """Make it, under the next free name where two runs begin in the same second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{path} and its next 999 names exist")


def write_json(path: Path, content: Run | Result) -> None:
    """Write a file so that a reader finds the old one or the new one, never half. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(to_json(content))
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def to_json(content: Run | Result) -> bytes:
    """JSON as files have it."""
    return msgspec.json.format(_encode(content), indent=2) + b"\n"


def load_run(folder: Path) -> tuple[Run, Columns]:
    """A run and the records of its load. Raises ResultError."""
    folder = folder.parent if folder.is_file() else folder
    run = _load(folder / RUN, Run)
    columns = Columns()
    for record in load_records(folder / REQUESTS):
        if record.phase == LOAD:
            columns.append(record)
    return run, columns


def load_records(path: Path) -> Iterator[Record]:
    """All records of a file; a last line that a crash cut short is left out. Raises ResultError."""
    decode = msgspec.json.Decoder(Record).decode
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield decode(line)
                except ValueError as error:
                    if line.endswith(b"\n"):
                        raise ResultError(f"{path}, line {number}: {error}") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _load(path: Path, kind: type[_Kind]) -> _Kind:
    data = _read(path)
    try:
        schema = msgspec.json.decode(data).get("schema")
        if schema != SCHEMA:
            raise ResultError(f"{path}: schema {schema!r} is not known to this version, which reads {SCHEMA}")
        return msgspec.json.decode(data, type=kind)
    except (ValueError, AttributeError) as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(f"{path}: not a {path.name} of this tool ({error})") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> ResultError:
    return ResultError(f"{path}: cannot be read ({error.strerror}); give the folder of a run")
