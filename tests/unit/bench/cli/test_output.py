"""What cannot be printed or written keeps nothing else from being printed or written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from bench.cli.main import main
from tests.support.gateway import CHAT, answer, gateway
from tests.support.serving import ROOT
from tests.support.wire import WireServer


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("runs")
    with WireServer(gateway({CHAT: answer})) as server, pytest.raises(SystemExit):
        load = ("--concurrency", "2", "--num-requests", "10", "--output-len", "5")
        main(["--base-url", server.url, *load, "--result-dir", str(folder)])
    (run,) = folder.iterdir()
    return run


def report(kept: Path, stdout: IO[bytes] | int, *arguments: str) -> tuple[int, str]:
    """The exit code, and what was said on standard error."""
    command = [sys.executable, "-m", "bench", "report", str(kept), *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=50)
    return done.returncode, done.stderr


@pytest.mark.parametrize("form", ["console", "json", "csv"])
def test_a_full_disk_under_standard_output_is_one_line_and_the_json_is_written(
    kept: Path, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "result.json"
    with Path("/dev/full").open("wb") as full:
        code, said = report(kept, full, "--format", form, "--json", str(path))
    assert (code, said) == (1, "error: the report cannot be printed (No space left on device)\n")
    assert json.loads(path.read_bytes())["counts"]["ok"] == 10


def test_the_json_is_written_when_the_reader_of_the_report_has_closed_the_pipe(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, said = report(kept, writer, "--json", str(path))
    finally:
        os.close(writer)
    assert (code, said) == (1, "")
    assert json.loads(path.read_bytes())["counts"]["ok"] == 10


def test_a_json_that_cannot_be_written_is_a_failure_after_the_report(kept: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    with shown.open("wb") as file:
        code, said = report(
            kept, file, "--json", "/dev/full", "--save-result", "--result-filename", str(tmp_path / "v")
        )
    assert (code, said) == (1, "error: --json /dev/full: cannot be written (No space left on device)\n")
    assert "✔ 10 ok" in shown.read_text()
    assert json.loads((tmp_path / "v").read_bytes())["completed"] == 10
