"""`infer` with real models in its own process: vLLM with one and with two ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mock_server.commands import engine_choice
from tests.support.pty_program import PtyProgram, pty_program
from tests.support.real_models import PYTHON, ROOT, VLLM_ENVIRONMENT, tiny_model

pytestmark = pytest.mark.vllm

LIMIT_S = 300.0
ENDED_WITHIN_S = 10.0
LONG = "1900"  # tokens: such an answer has not ended when Ctrl-C is typed, however busy the machine is
CTRL_C, CTRL_D = "\x03", "\x04"
QUICK = {"vllm": ("--enforce_eager", "--kv_cache_memory_bytes", "64M"), "pt": ()}
BACKENDS = sorted({*QUICK} & {*engine_choice.BACKENDS})


def environment(folder: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    places = {"XDG_STATE_HOME": str(folder), "TMPDIR": str(folder)}
    return {**plain, **VLLM_ENVIRONMENT, **places, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}


def infer(backend: str, *options: str) -> list[str]:
    common = ("--infer_backend", backend, "--max_model_len", "2048", "--temperature", "0", "--dtype", "float32")
    return [str(PYTHON), "-m", "mock_server", "infer", *common, *QUICK[backend], *options]


def run(folder: Path, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, timeout=LIMIT_S, **options
    )


def adapter() -> tuple[str, ...]:
    return ("--ckpt_dir", str(tiny_model() / "one"), "--model_id_or_path", str(tiny_model() / "model"))


def say(program: PtyProgram, typed: str, shown: str) -> None:
    program.wait_for(">")
    program.type(f"{typed}\r")
    program.wait_for(shown)


def stop_an_answer_twice(program: PtyProgram) -> None:
    for _ in range(2):
        say(program, "Once upon a time", "\n")
        program.wait_for(" ")  # in the answer
        program.type(CTRL_C)
        program.wait_for("stopped")


def ends_whole(program: PtyProgram) -> bool:
    """Whether nothing of its session is left. Python's tracker of resources ends a moment after its program."""
    give_up_at = time.monotonic() + ENDED_WITHIN_S
    while processes_of(program):
        if time.monotonic() > give_up_at:
            return False
        os.sched_yield()
    return True


def processes_of(program: PtyProgram) -> list[int]:
    """All of its session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == program.process.pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_are_answered_by_the_adapter_that_was_given_as_checkpoint(backend: str, tmp_path: Path) -> None:
    asked, results = tmp_path / "q.jsonl", tmp_path / "r.jsonl"
    asked.write_text("".join(json.dumps({"query": f"{word}!", "response": "x"}) + "\n" for word in ("one", "two")))
    data = ("--dataset", str(asked), "--output", str(results), "--max_new_tokens", "12")
    done = run(tmp_path, infer(backend, *adapter(), *data))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in results.read_text("utf-8").split("\n") if line]
    assert sorted(row["index"] for row in rows) == [0, 1]
    assert all(row["num_generated_tokens"] and row["error"] is None for row in rows)
    assert json.loads((tmp_path / "r.run.json").read_text())["run"]["model"] == "default-lora"
    assert "num_samples           2" in done.stdout
    assert list(tmp_path.glob("streamgauge-infer-*")) == []  # no log is left


@pytest.mark.parametrize("backend", BACKENDS)
def test_adapter_and_base_answer_in_one_chat(backend: str, tmp_path: Path) -> None:
    talk = tmp_path / "talk.jsonl"
    command = infer(backend, *adapter(), "--max_new_tokens", LONG)
    with pty_program(command, cwd=ROOT, env=environment(tmp_path), limit_s=LIMIT_S) as program:
        stop_an_answer_twice(program)
        for name in ("default-lora", "model"):
            say(program, f"/model {name}", f"{name} answers from now on")
            say(program, "/clear", "new conversation")
            say(program, "/set max_tokens=12", "max_tokens=12")
            say(program, "one!", "12 tokens")
            say(program, f"/save {talk}", "1 turn added")
        program.wait_for(">")
        program.type(CTRL_D)
        assert program.end() == 0
        assert ends_whole(program)
    tuned, base = [json.loads(line)["messages"][1]["content"] for line in talk.read_text("utf-8").split("\n") if line]
    assert tuned != base


def test_ctrl_c_at_the_terminal_does_not_reach_the_ranks_of_a_model(tmp_path: Path) -> None:
    model = ("--model", str(tiny_model() / "splittable"), "--tensor_parallel_size", "2")
    with pty_program(
        infer("vllm", *model, "--max_new_tokens", LONG), cwd=ROOT, env=environment(tmp_path), limit_s=LIMIT_S
    ) as program:
        stop_an_answer_twice(program)
        assert len(processes_of(program)) > 2
        say(program, "/set max_tokens=5", "max_tokens=5")
        say(program, "again", "5 tokens")
        program.wait_for(">")
        program.type(CTRL_D)
        assert program.end() == 0
        assert ends_whole(program)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_while_the_model_loads_leaves_nothing_running(backend: str, tmp_path: Path) -> None:
    command = infer(backend, "--model", str(tiny_model() / "model"))
    with pty_program(command, cwd=ROOT, env=environment(tmp_path), limit_s=LIMIT_S) as program:
        program.wait_for("loading")
        os.kill(program.process.pid, signal.SIGINT)
        assert program.end() == 130
        assert ends_whole(program)
    assert list(tmp_path.glob("streamgauge-infer-*")) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_cannot_be_loaded_is_one_line_that_names_the_log(backend: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text((tiny_model() / "model" / "config.json").read_text())
    done = run(tmp_path, infer(backend, "--model", str(broken), "--query", "x"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")
