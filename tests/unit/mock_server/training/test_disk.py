from __future__ import annotations

import errno

import pytest

from mock_server.training.disk import full_disk, needed_text


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "x"),
        RuntimeError("[enforce fail at inline_container.cc] . PytorchStreamWriter failed writing file data/3"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_recognised_however_it_is_said(error: Exception) -> None:
    assert full_disk(error)
    outer = ValueError("x")
    outer.__context__ = error
    assert full_disk(outer)


def test_other_errors_are_not_about_the_disk() -> None:
    assert not full_disk(OSError(errno.EACCES, "Permission denied"))


def test_sizes_are_for_people() -> None:
    assert needed_text(2_500_000_000, 3_000_000) == "2.5 GB of disk; 3 MB are free"
