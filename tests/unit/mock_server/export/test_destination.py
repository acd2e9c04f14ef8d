from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mock_server.export.destination import check_destination, check_room, written_beside
from mock_server.export.errors import ExportError, ExportOptionError
from tests.support.serving import ROOT

HELD = """
import sys
from pathlib import Path
from mock_server.export.destination import written_beside
with written_beside(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("x")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "model"


def names(target: Path) -> list[str]:
    return sorted(os.listdir(target.parent))


def test_the_folder_appears_when_it_is_whole(target: Path) -> None:
    with written_beside(target) as folder:
        (folder / "weights").write_text("new")
        (folder / "weights").chmod(0o600)
        assert not target.exists()
    assert (target / "weights").read_text() == "new"
    assert (target / "weights").stat().st_mode & 0o777 == 0o644
    assert names(target) == ["model"]


def test_a_failure_leaves_nothing(target: Path) -> None:
    with pytest.raises(KeyboardInterrupt), written_beside(target) as folder:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt
    assert names(target) == []


def test_a_failure_leaves_what_was_to_be_replaced(target: Path) -> None:
    target.mkdir(parents=True)
    (target / "old").touch()
    with pytest.raises(ValueError, match="broken"), written_beside(target):
        raise ValueError("broken")
    assert os.listdir(target) == ["old"]


def test_what_was_there_is_replaced_as_a_whole(target: Path) -> None:
    target.mkdir(parents=True)
    (target / "old").touch()
    with written_beside(target) as folder:
        (folder / "new").touch()
    assert os.listdir(target) == ["new"]
    assert names(target) == ["model"]


def test_what_a_kill_left_is_removed_by_the_next_export(target: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", HELD, str(target)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "writing\n"
        with pytest.raises(ExportError, match="another export writes"), written_beside(target):
            pass
        program.send_signal(signal.SIGKILL)
    assert not target.exists()
    with written_beside(target) as folder:
        assert os.listdir(folder) == []
    assert names(target) == ["model"]


def test_a_kill_between_the_two_renames_loses_nothing(target: Path) -> None:
    replaced = target.with_name(".model.replaced")
    replaced.mkdir(parents=True)
    (replaced / "old").touch()
    with pytest.raises(ValueError, match="broken"), written_beside(target):
        raise ValueError("broken")
    assert os.listdir(target) == ["old"]


def test_an_existing_folder_is_kept_unless_it_may_be_replaced(target: Path) -> None:
    target.mkdir(parents=True)
    with pytest.raises(ExportOptionError, match="exists already: remove it, set --overwrite true"):
        check_destination(target, overwrite=False)
    check_destination(target, overwrite=True)


def test_a_file_is_never_replaced(target: Path) -> None:
    target.parent.mkdir()
    target.touch()
    with pytest.raises(ExportOptionError, match="is a file"):
        check_destination(target, overwrite=True)


def test_too_little_room_is_said_before_anything_is_written(target: Path) -> None:
    with pytest.raises(ExportError, match=r"needs 1000000\.0 GB of disk; .* are free"):
        check_room(target, 10**15)
    check_room(target, 1)
