"""Bytes go to a file as long as the disk accepts them; none are lost when it no longer does."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.records.spool import Spool, is_locked


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Behaves like a full disk: the kernel accepts a part of a write, then refuses the rest."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_written_bytes_are_read_back_in_pieces(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a")
    spool.write(b"one ")
    spool.write(b"two")
    assert b"".join(spool.chunks()) == b"one two"
    spool.close()
    assert b"".join(spool.chunks()) == b"one two"
    assert (tmp_path / "a").read_bytes() == b"one two"
    assert spool.error is None


def test_a_disk_that_fills_up_loses_no_bytes(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a")
    with files_of_at_most(10):
        spool.write(b"12345678")
        spool.write(b"abcdefgh")
        spool.write(b"!")
    assert spool.error is not None
    assert spool.error.errno == errno.EFBIG
    assert os.path.getsize(tmp_path / "a") == 10
    assert b"".join(spool.chunks()) == b"12345678abcdefgh!"


def test_written_bytes_are_read_even_if_the_file_lost_its_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a")
    spool.write(b"one ")
    assert not spool.is_removed
    (tmp_path / "a").rename(tmp_path / "b")
    spool.write(b"two ")
    assert not spool.is_removed
    (tmp_path / "b").unlink()
    spool.write(b"three")
    assert spool.is_removed
    assert b"".join(spool.chunks()) == b"one two three"
    assert spool.error is None
    spool.close()


def test_a_file_is_locked_as_long_as_it_may_grow(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a")
    assert is_locked(tmp_path / "a")
    spool.close()
    assert not is_locked(tmp_path / "a")


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    spool = Spool(tmp_path / "a")
    spool.write(b"new")
    assert isinstance(spool.error, FileExistsError)
    assert b"".join(spool.chunks()) == b"new"
    assert (tmp_path / "a").read_bytes() == b"old"


def test_without_a_path_bytes_stay_in_memory() -> None:
    spool = Spool(None)
    spool.write(b"kept")
    assert (spool.error, b"".join(spool.chunks())) == (None, b"kept")
