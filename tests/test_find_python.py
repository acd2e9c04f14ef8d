"""`scripts/find_python.sh` finds an interpreter on PATH or among pyenv's, and only one that starts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "find_python.sh"

pytestmark = pytest.mark.one_python


def find(version: str, path: Path, pyenv: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{path}:/usr/bin:/bin", "PYENV_ROOT": str(pyenv), "HOME": "/nowhere"}
    return subprocess.run([SCRIPT, version], env=environment, capture_output=True, text=True, timeout=30, check=False)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "path"


@pytest.fixture
def pyenv(tmp_path: Path) -> Path:
    return tmp_path / "pyenv"


def test_one_on_the_path_is_taken_first(path: Path, pyenv: Path) -> None:
    python = program(path / "python9.1", "echo 9.1")
    program(pyenv / "versions" / "9.1.5" / "bin" / "python", "echo 9.1")
    assert find("9.1", path, pyenv).stdout == f"{python}\n"


def test_a_shim_that_starts_nothing_is_passed_over_for_the_newest_of_pyenv(path: Path, pyenv: Path) -> None:
    program(path / "python9.1", "exit 127")
    program(pyenv / "versions" / "9.1.9" / "bin" / "python", "echo 9.1")
    newest = program(pyenv / "versions" / "9.1.10" / "bin" / "python", "echo 9.1")
    program(pyenv / "versions" / "9.10.1" / "bin" / "python", "echo 9.10")
    assert find("9.1", path, pyenv).stdout == f"{newest}\n"


def test_a_version_that_is_missing_is_told_in_words(path: Path, pyenv: Path) -> None:
    done = find("9.1", path, pyenv)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"there is no Python 9.1 on PATH or in {pyenv}/versions\n"
