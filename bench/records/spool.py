"""Bytes that go to a file as long as the disk accepts them, and stay in memory from then on."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_CHUNK_BYTES = 4 * 1024 * 1024


class Spool:
    """Appends bytes, and reads them back through the same descriptor even if the file is renamed or removed.

    `error` is the error of the disk when it failed; only the rest of the file is lost then. What was written is in the
    kernel's hands, so that killing this process does not affect it. Until it is closed, the file is locked, which
    shows others that it may still grow.
    """

    def __init__(self, path: Path | None) -> None:
        self.error: OSError | None = None
        self._path = path
        self._file: int | None = None
        self._kept: list[bytes] = []
        if path is not None:
            try:
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
                _lock(self._file)
            except OSError as error:
                self.error, self._path = error, None

    def write(self, data: bytes) -> None:
        """Append."""
        if self._file is None or self.error is not None:
            self._kept.append(data)
            return
        written = 0
        try:
            while written < len(data):  # a disk that fills up accepts a part before it refuses the rest
                written += os.write(self._file, data[written:])
        except OSError as error:
            self.error = error
            self._kept.append(data[written:])

    @property
    def is_removed(self) -> bool:
        """Whether the file has lost its name, so that only this process can read it."""
        return self._file is not None and os.fstat(self._file).st_nlink == 0

    def close(self) -> None:
        """Close the file. From then on, it is read by its name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def chunks(self) -> Iterator[bytes]:
        """Everything that was written, in pieces of a few megabytes. Raises OSError."""
        if self._file is not None:
            at = 0
            while chunk := os.pread(self._file, _CHUNK_BYTES, at):
                yield chunk
                at += len(chunk)
        elif self._path is not None:
            yield from read_chunks(self._path)
        yield from self._kept


def read_chunks(path: Path, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """Read a file in pieces. Raises OSError."""
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk


def is_locked(path: Path) -> bool:
    """Whether another process still has the file open to write to it. Raises OSError."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock(file: int) -> None:
    """Mark a file as being written to, if the file system supports locks."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
