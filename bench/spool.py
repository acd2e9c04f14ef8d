"""Bytes that go to a file for as long as the disk takes them, and stay in memory from then on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_CHUNK_BYTES = 4 * 1024 * 1024


class Spool:
    """Append-only. `error` is what the disk said when it failed; nothing is lost by that but the file.

    What was written is with the kernel, so that a kill of this process does not touch it.
    """

    def __init__(self, path: Path | None) -> None:
        self.error: OSError | None = None
        self._path = path
        self._file: int | None = None
        self._kept: list[bytes] = []
        if path is not None:
            try:
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            except OSError as error:
                self.error, self._path = error, None

    def write(self, data: bytes) -> None:
        """Append."""
        if self._file is None:
            self._kept.append(data)
            return
        written = 0
        try:
            while written < len(data):  # a disk that fills up takes a part before it refuses the rest
                written += os.write(self._file, data[written:])
        except OSError as error:
            self.error = error
            self._kept.append(data[written:])
            self.close()

    def close(self) -> None:
        """End the file. What comes later stays in memory."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def chunks(self) -> Iterator[bytes]:
        """All that was written, in pieces of some megabytes. Raises OSError."""
        if self._path is not None:
            yield from read_chunks(self._path)
        yield from self._kept


def read_chunks(path: Path, size: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """A file in pieces. Raises OSError."""
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk
