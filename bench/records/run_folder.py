"""The folder of a run: run.json, requests.jsonl, moments.bin (both written as things happen), result.json."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.records.moments import MomentLog
from bench.records.record import LOAD, Columns, Record
from bench.records.result import Result
from bench.records.run import SCHEMA, Run
from bench.records.spool import Spool, read_chunks
from bench.shown_text import escaped_json

RUN, REQUESTS, MOMENTS, RESULT = "run.json", "requests.jsonl", "moments.bin", "result.json"

# Freed before run.json and result.json are written at the end, so that a disk that filled up has room for them.
_RESERVE, _RESERVE_BYTES = ".reserve", 256 * 1024

# More than any run has, even with the longest list of models and the longest messages of a server.
_MOST_RUN_BYTES, _MOST_LINE_BYTES = 64 * 1024 * 1024, 1024 * 1024

_encode = msgspec.json.Encoder().encode
_Kind = TypeVar("_Kind", Run, Result)


class ResultError(ValueError):
    """A run that cannot be read back. The message names the file and what is wrong with it."""


class RunFolder:
    """Keeps a run on disk. If the disk fails, the files are lost but never the figures; `problem` reports it once.

    Each `flush` hands the records to the kernel; if the bench is killed, only those after the last flush are lost.
    All files are written through descriptors that are opened at the beginning, so that nothing is lost if the folder
    is moved during the run, and the figures are not lost if it is removed.
    """

    def __init__(self, parent: Path, began: datetime, moments: MomentLog) -> None:
        self._error: OSError | None = None
        self._directory: int | None = None
        self._has_result = False
        self._path = parent / f"{began:%Y-%m-%d-%H%M%S}"
        folder: Path | None = None
        try:
            folder = self._path = _make_folder(self._path)
            self._directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            _reserve(self._directory)
        except OSError as error:
            self._error = error
        self._lines: list[bytes] = []
        self._requests = Spool(folder and folder / REQUESTS)
        self._moments = moments
        moments.spool = Spool(folder and folder / MOMENTS)

    @property
    def id(self) -> str:
        """The name of the run."""
        return self._path.name

    @property
    def path(self) -> Path:
        """Where the folder is now, or where it was if it is gone."""
        return self._moved_to() or self._path

    @property
    def failure(self) -> OSError | None:
        """The error of the disk when it did not accept something."""
        return self._error or self._requests.error or self._moments.spool.error

    @property
    def problem(self) -> str | None:
        """What a reader of the report needs to know about the files; None if nothing is wrong with them."""
        error = self.failure
        if self._is_removed():
            return f"results are not kept: the folder {self._path} was removed during the run"
        if error is not None:
            where = error.filename or self._path
            saved = f"{RESULT} still has the figures" if self._has_result else "--result-dir sets another place"
            return f"results are not kept: {error.strerror or error} ({where}); {saved}"
        for name, spool in ((REQUESTS, self._requests), (MOMENTS, self._moments.spool)):
            if spool.is_removed:
                return f"the run cannot be reported again: {name} was removed from {self._path} during the run"
        return None

    @property
    def move(self) -> str | None:
        """A sentence about where the folder was moved to, if it was moved."""
        moved = self._moved_to()
        return None if moved is None else f"the folder {self._path} was moved to {moved} during the run"

    @property
    def is_kept(self) -> bool:
        """Whether the disk accepted everything, including the result."""
        return self.failure is None and self._has_result and not self._is_removed()

    def keep(self, record: Record) -> None:
        """Write one record, with the next flush."""
        self._lines.append(_encode(record))

    def flush(self) -> None:
        """Hand over what was added since the last flush."""
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
        self._has_result = self._save(RESULT, result)

    def finish(self) -> None:
        """End the records, and make room for the figures in case the disk is full."""
        self.flush()
        if self._directory is not None:
            with contextlib.suppress(OSError):
                os.unlink(_RESERVE, dir_fd=self._directory)

    def close(self) -> None:
        """Close the files. From then on, they are read by their names."""
        self.finish()
        self._requests.close()
        self._moments.spool.close()
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def records(self) -> Columns:
        """Read back the requests of the load. Raises ResultError."""
        return _columns(_records(self._requests.chunks(), self._path / REQUESTS))

    def moments(self) -> Iterator[bytes]:
        """All moments, in pieces. Can be called any number of times."""
        return self._moments.spool.chunks()

    def _save(self, name: str, content: Run | Result) -> bool:
        if self._directory is None:
            return False
        try:
            _write_whole(name, to_json(content), self._directory)
        except OSError as error:
            self._error = self._error or error
            return False
        return True

    def _is_removed(self) -> bool:
        return self._directory is not None and os.fstat(self._directory).st_nlink == 0

    def _moved_to(self) -> Path | None:
        """Where the folder was moved to, if the system reports it."""
        if self._directory is None or self._is_removed():
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self._path), os.fstat(self._directory)):
                return None
        try:
            return Path(os.readlink(f"/proc/self/fd/{self._directory}"))
        except OSError:
            return None


def _make_folder(path: Path) -> Path:
    """Create the folder, under the next free name if two runs begin in the same second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{path} and its next 999 names exist")


def _reserve(directory: int) -> None:
    """Reserve some room for the figures, which are written last, if the disk has any."""
    with contextlib.suppress(OSError):
        file = os.open(_RESERVE, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=directory)
        try:
            os.posix_fallocate(file, 0, _RESERVE_BYTES)
        except OSError:
            os.unlink(_RESERVE, dir_fd=directory)
        finally:
            os.close(file)


def _write_whole(name: str, data: bytes, directory: int) -> None:
    """Write a file of a folder so that a reader finds either the old one or the new one. Raises OSError."""
    temporary = f".{name}.{os.getpid()}"
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=directory)
        with open(file, "wb") as opened:
            opened.write(data)
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def write_json(path: Path, content: msgspec.Struct) -> None:
    """Write JSON as `write_bytes` does. Raises OSError."""
    write_bytes(path, to_json(content))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds either the old one or the new one, never half of it. Raises OSError.

    If the path exists and is not a file (a pipe, /dev/null), it is written to directly.
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
    """JSON in the form in which it is written to files."""
    return escaped_json(msgspec.json.format(_encode(content), indent=2).decode()).encode() + b"\n"


def load_run(folder: Path) -> tuple[Run, Columns, Path]:
    """Read a run, the records of its load, and the path of its moments. Raises ResultError."""
    if folder.is_file() or (folder.name in (RUN, REQUESTS, MOMENTS, RESULT) and not folder.exists()):
        folder = folder.parent
    if folder.is_dir() and not (folder / RUN).exists():
        raise ResultError(_not_a_run(folder))
    for name in (RUN, REQUESTS, MOMENTS):  # reading a pipe could block, and a device may have no end
        if (folder / name).exists() and not (folder / name).is_file():
            raise ResultError(f"{folder / name}: is not a file")
    run, moments = _load(folder / RUN, Run), folder / MOMENTS
    try:
        moments.open("rb").close()
    except OSError as error:
        raise _unreadable(moments, error) from None
    return run, _columns(load_records(folder / REQUESTS)), moments


def _not_a_run(folder: Path) -> str:
    there = [name for name in (REQUESTS, MOMENTS, RESULT) if (folder / name).exists()]
    if not there:
        return f"{folder}: is not the folder of a run: it has no {RUN}"
    return (
        f"{folder}: has no {RUN}, without which nothing can be computed from its {' and '.join(there)}: "
        "the bench was stopped before the load began, the disk was full from the start, or the file was removed"
    )


def load_records(path: Path) -> Iterator[Record]:
    """Read all records of a file. A last line that a crash cut short is left out. Raises ResultError."""
    return _records(read_chunks(path), path)


def _columns(records: Iterable[Record]) -> Columns:
    columns = Columns()
    for record in records:
        if record.phase == LOAD:
            try:
                columns.append(record)
            except OverflowError:
                raise ResultError(f"request {record.request} has a number of more than 64 bits") from None
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
            if len(rest) > _MOST_LINE_BYTES:
                raise ResultError(
                    f"{path}, line {number + 1}: is over {_MOST_LINE_BYTES:,} bytes, more than any record has"
                )
    except OSError as error:
        raise _unreadable(path, error) from None
    except ResultError:
        raise
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path}, line {number}: {error}") from None


def _load(path: Path, kind: type[_Kind]) -> _Kind:
    data = _read(path)
    try:
        schema = msgspec.json.decode(data).get("schema")
        if schema != SCHEMA:
            raise ResultError(f"{path}: schema {schema!r} is unknown to this version, which reads {SCHEMA}")
        return msgspec.json.decode(data, type=kind)
    except (ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, ResultError):
            raise
        raise ResultError(f"{path}: not a {path.name} of this tool ({error})") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_RUN_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(data) > _MOST_RUN_BYTES:
        raise ResultError(f"{path}: is over {_MOST_RUN_BYTES:,} bytes, more than any {path.name} has")
    return data


def _unreadable(path: Path, error: OSError) -> ResultError:
    return ResultError(f"{path}: cannot be read ({error.strerror}); give the folder of a run")
