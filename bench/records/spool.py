"""Bytes that go to a file for as long as the disk takes them, and stay in memory from then on."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_CHUNK_BYTES = 4 * 1024 * 1024


class Spool:
    """Append-only, and read back through the same descriptor, whatever becomes of the file's name meanwhile.

    `error` is what the disk said when it failed; nothing is lost by that but the rest of the file. What was written is
    with the kernel, so that a kill of this process does not touch it. As long as it is not closed the file is locked,
    by which others can see that it may still grow.
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
            while written < len(data):  # a disk that fills up takes a part before it refuses the rest
                written += os.write(self._file, data[written:])
        except OSError as error:
            self.error = error
            self._kept.append(data[written:])

    @property
    def is_removed(self) -> bool:
        """Whether the file is there for us alone: its name was taken away."""
        return self._file is not None and os.fstat(self._file).st_nlink == 0

    def close(self) -> None:
        """End the file; from then on it is read by its name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def chunks(self) -> Iterator[bytes]:
        """All that was written, in pieces of some megabytes. Raises OSError."""
        if self._file is not None:
            at = 0
            while chunk := os.pread(self._file, _CHUNK_BYTES, at):
                yield chunk
                at += len(chunk)
        elif self._path is not None:
            yield from read_chunks(self._path)
        yield from self._kept


def read_chunks(path: Path, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """A file in pieces. Raises OSError."""
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
    """Mark a file as being written to. Where a file system knows no locks there is no mark."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
