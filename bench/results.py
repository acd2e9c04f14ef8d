"""The folder of a run: run.json, requests.jsonl, moments.bin (both written as things happen), result.json."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.moments import Moments
from bench.record import LOAD, Columns, Record
from bench.result import Result
from bench.run import SCHEMA, Run
from bench.spool import Spool, read_chunks

RUN, REQUESTS, MOMENTS, RESULT = "run.json", "requests.jsonl", "moments.bin", "result.json"

_encode = msgspec.json.Encoder().encode
_Kind = TypeVar("_Kind", Run, Result)


class ResultError(ValueError):
    """A run that cannot be read back; the message names the file and what is wrong with it."""


class RunFolder:
    """Keeps a run on disk. A disk that fails costs the files, never the figures: `problem` says so, once.

    What is kept is handed to the kernel with each `flush`; a kill of the bench loses what came after the last one.
    """

    def __init__(self, parent: Path, began: datetime, moments: Moments) -> None:
        self._error: OSError | None = None
        self.path = parent / f"{began:%Y-%m-%d-%H%M%S}"
        folder: Path | None = None
        try:
            folder = self.path = _make_folder(self.path)
        except OSError as error:
            self._error = error
        self._lines: list[bytes] = []
        self._requests = Spool(folder and folder / REQUESTS)
        self._moments = moments
        moments.spool = Spool(folder and folder / MOMENTS)

    @property
    def id(self) -> str:
        """The name of the run."""
        return self.path.name

    @property
    def problem(self) -> str | None:
        """Why results are not kept, None while they are."""
        error = self._error or self._requests.error or self._moments.spool.error
        if error is None:
            return None
        where = error.filename or self.path
        return f"results are not kept: {error.strerror or error} ({where}); --result-dir puts them elsewhere"

    def keep(self, record: Record) -> None:
        """Write one record, with the next flush."""
        self._lines.append(_encode(record))

    def flush(self) -> None:
        """Hand over what has come since the last time."""
        self._moments.flush()
        if self._lines:
            self._lines.append(b"")
            self._requests.write(b"\n".join(self._lines))
            self._lines.clear()

    def save_run(self, run: Run) -> None:
        """Write run.json, whole or not at all."""
        self._save(RUN, run)

    def save_result(self, result: Result) -> None:
        """Write result.json, whole or not at all."""
        self._save(RESULT, result)

    def close(self) -> None:
        """End the records."""
        self.flush()
        self._requests.close()
        self._moments.spool.close()

    def records(self) -> Columns:
        """The load's requests, read back from wherever they are. Raises ResultError."""
        return _columns(_records(self._requests.chunks(), self.path / REQUESTS))

    def moments(self) -> Iterator[bytes]:
        """All moments, in pieces; to be read as often as one likes."""
        return self._moments.spool.chunks()

    def _save(self, name: str, content: Run | Result) -> None:
        if self.problem is not None:
            return
        try:
            write_json(self.path / name, content)
        except OSError as error:
            self._error = error


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


def write_json(path: Path, content: msgspec.Struct) -> None:
    """Write it as `write_bytes` does. Raises OSError."""
    write_bytes(path, to_json(content))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never half. Raises OSError.

    What is there and not a file (a pipe, /dev/null) is written to.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    path = path.resolve()  # a link is followed, not replaced
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def to_json(content: msgspec.Struct) -> bytes:
    """JSON as files have it."""
    return msgspec.json.format(_encode(content), indent=2) + b"\n"


def load_run(folder: Path) -> tuple[Run, Columns, Path]:
    """A run, the records of its load, and the file of its moments. Raises ResultError."""
    folder = folder.parent if folder.is_file() else folder
    run, moments = _load(folder / RUN, Run), folder / MOMENTS
    try:
        moments.open("rb").close()
    except OSError as error:
        raise _unreadable(moments, error) from None
    return run, _columns(load_records(folder / REQUESTS)), moments


def load_records(path: Path) -> Iterator[Record]:
    """All records of a file; a last line that a crash cut short is left out. Raises ResultError."""
    return _records(read_chunks(path), path)


def _columns(records: Iterable[Record]) -> Columns:
    columns = Columns()
    for record in records:
        if record.phase == LOAD:
            columns.append(record)
    return columns


def _records(chunks: Iterable[bytes], path: Path) -> Iterator[Record]:
    decode = msgspec.json.Decoder(Record).decode
    number, rest = 0, b""
    try:
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                number += 1
                yield decode(line)
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:
        raise ResultError(f"{path}, line {number}: {error}") from None


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
