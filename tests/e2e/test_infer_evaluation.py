"""Evaluations that are ended from outside: what is there stays, and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mock_server.settings import ServerSettings
from tests.support.pty_program import pty_program
from tests.support.serving import ROOT, scripted_engine, server_process, serving

ROWS = 30
ENV = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Ten tokens, a tenth of a second."""
    with serving(scripted_engine(itl_s=0.01), ServerSettings()) as served:
        yield served.url


def command(url: str, folder: Path) -> list[str]:
    asked = folder / "q.jsonl"
    asked.write_text("".join(json.dumps({"query": f"question {n}", "response": "x"}) + "\n" for n in range(ROWS)))
    return [
        *(sys.executable, "-m", "mock_server", "infer", "--base-url", url, "--dataset", str(asked)),
        *("--output", str(folder / "r.jsonl"), "--max_new_tokens", "10", "--max-batch-size", "2"),
    ]


def start(url: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(url, folder), cwd=ROOT, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_rows(process: subprocess.Popen[str], file: Path, count: int) -> None:
    while not (file.exists() and file.read_bytes().count(b"\n") >= count):
        assert process.poll() is None
        os.sched_yield()


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_after_kill_9_no_row_is_lost_or_asked_twice(url: str, tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    for least in (3, 8):
        process = start(url, tmp_path)
        wait_for_rows(process, file, least)
        process.kill()
        process.communicate()
    kept = file.read_bytes()
    assert 8 <= kept.count(b"\n") < ROWS
    file.write_bytes(kept + b'{"index": 29, "que')  # as if it had been killed in the middle of a line
    done = subprocess.run(command(url, tmp_path), cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert f"{kept.count(10)} of {ROWS} rows were answered before" in done.stderr
    assert file.read_bytes().startswith(kept)
    assert sorted(row["index"] for row in rows(file)) == list(range(ROWS))
    assert {row["session"] for row in rows(file)} == {1, 2, 3}
    summary = json.loads((tmp_path / "r.run.json").read_text())["summary"]
    assert summary["num_samples"] == ROWS
    assert summary["num_generated_tokens"] == 10 * ROWS


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_evaluation_has_its_figures_and_says_how_to_go_on(
    url: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = start(url, tmp_path)
    wait_for_rows(process, tmp_path / "r.jsonl", 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    finished = rows(tmp_path / "r.jsonl")
    assert 2 <= len(finished) < ROWS
    assert f"num_samples           {len(finished)}\n" in out
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert err.endswith(f"interrupted after {len(finished)} of {ROWS} rows: run the same command again to go on\n")


def test_a_server_that_goes_away_fails_only_the_rows_in_progress(url: str, tmp_path: Path) -> None:
    with server_process("--engine", "scripted", "--script", "itl_ms=10") as server:
        process = start(server.url, tmp_path)
        wait_for_rows(process, tmp_path / "r.jsonl", 2)
        server.process.kill()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith("Error: ")
    finished = rows(tmp_path / "r.jsonl")
    assert 2 <= len(finished) < ROWS
    assert sum(row["error"] is not None for row in finished) <= 2
    again = subprocess.run(command(url, tmp_path), cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=50)
    assert again.returncode == 0, again.stderr
    assert sorted(row["index"] for row in rows(tmp_path / "r.jsonl")) == list(range(ROWS))


def test_a_bar_shows_the_progress_on_a_terminal(url: str, tmp_path: Path) -> None:
    with pty_program(command(url, tmp_path), cwd=ROOT, env={**ENV, "TERM": "xterm-256color"}) as program:
        program.wait_for(f"{ROWS}/{ROWS}")
        program.wait_for("num_samples           30")
        assert program.end() == 0
    assert " left" in program.text
    assert "tokens/s" in program.text


def test_nothing_is_said_if_nobody_reads_the_answer(url: str) -> None:
    asked = [sys.executable, "-m", "mock_server", "infer", "--base-url", url, "--query", "tell me a lot"]
    process = subprocess.Popen(asked, cwd=ROOT, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(5)
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(30) == 0


def test_ctrl_c_ends_one_question_without_a_word(url: str) -> None:
    asked = [sys.executable, "-m", "mock_server", "infer", "--base-url", url, "--query", "tell me a lot"]
    process = subprocess.Popen(asked, cwd=ROOT, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"")


def test_the_help_comes_without_the_server_the_sdk_or_an_engine() -> None:
    code = (
        "import sys; from mock_server.commands import cli; cli(['infer', '--help'], standalone_mode=False);"
        " print(*sys.modules, file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=ENV, capture_output=True, text=True)
    assert "infer --ckpt_dir" in shown.stdout
    heavy = {"torch", "fastapi", "uvicorn", "rich", "prompt_toolkit", "rouge_score", "sdk", "pydantic", "asyncio"}
    assert heavy & set(shown.stderr.split()) == set()
