"""`infer` at a terminal: a person's keys in, what the terminal shows out."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_server.engine.base import Adapter
from mock_server.settings import ServerSettings
from tests.support.pty_program import PtyProgram, pty_program
from tests.support.serving import ROOT, scripted_engine, serving

CTRL_C, CTRL_D, ALT_ENTER, ARROW_UP = "\x03", "\x04", "\x1b\r", "\x1b[A"
PASTE = "\x1b[200~{}\x1b[201~"
FIGURES = re.compile(r"\d+ tokens? · [\d,.]+ tokens/s · TTFT \d+\.\d\d s")


@contextlib.contextmanager
def chat(tmp_path: Path, *options: str, **environment: str) -> Iterator[PtyProgram]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "NO_COLOR"))}
    env |= {"TERM": "xterm-256color", "XDG_STATE_HOME": str(tmp_path), "PROMPT_TOOLKIT_NO_CPR": "1", **environment}
    command = [sys.executable, "-m", "mock_server", "infer", *options]
    with pty_program(command, cwd=ROOT, env=env) as program:
        yield program


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    settings = ServerSettings(adapters=(Adapter("my_tuner"),))
    with serving(scripted_engine(itl_s=2e-3), settings) as served:
        yield served.url


def test_a_conversation_with_several_lines_commands_and_an_end(tmp_path: Path, url: str) -> None:
    saved = tmp_path / "talk.jsonl"
    with chat(tmp_path, "--base-url", url, "--max_new_tokens", "12") as program:
        program.wait_for("sim-chat")
        program.wait_for("Ctrl-D ends the chat.")
        program.wait_for(">")
        program.type("你好，世界\r")
        assert FIGURES.search(program.wait_for("cut off at the limit of tokens"))
        program.wait_for(">")
        program.type("one" + ALT_ENTER + "two\r")
        program.wait_for("cut off")
        program.wait_for(">")
        program.type('"""three\rfour"""\r')
        program.wait_for("cut off")
        program.wait_for(">")
        program.type(PASTE.format("five\nsix") + "\r")
        program.wait_for("cut off")
        program.wait_for(">")
        program.type("/sve x\r")
        program.wait_for("/sve is not a command. Did you mean /save?")
        program.wait_for(">")
        program.type(f"/save {saved}\r")
        program.wait_for("4 turns added")
        program.wait_for(">")
        program.type("/model my_tuner\r")
        program.wait_for("my_tuner answers from now on")
        program.wait_for(">")
        program.type("/retry\r")
        program.wait_for("I am my_tuner")
        program.wait_for("cut off")
        program.wait_for(">")
        program.type("/set max_tokens=3 seed=7\r")
        program.wait_for("max_tokens=3 seed=7")
        program.wait_for(">")
        program.type("short\r")
        program.wait_for("3 tokens · ")
        program.wait_for(">")
        program.type(CTRL_D)
        assert program.end() == 0
    asked = [message["content"] for message in json.loads(saved.read_text("utf-8"))["messages"][::2]]
    assert asked == ["你好，世界", "one\ntwo", "three\nfour", "five\nsix"]


def test_earlier_questions_are_there_in_the_next_chat(tmp_path: Path, url: str) -> None:
    for keys in ("remember me\r", ARROW_UP * 3 + "\r"):  # past /exit and /save
        with chat(tmp_path, "--base-url", url, "--max_new_tokens", "3") as program:
            program.wait_for(">")
            program.type(keys)
            program.wait_for("3 tokens · ")
            program.wait_for(">")
            program.type("/save " + str(tmp_path / "talk.jsonl") + "\r")
            program.wait_for("1 turn added")
            program.wait_for(">")
            program.type("/exit\r")
            assert program.end() == 0
    rows = [json.loads(line)["messages"] for line in (tmp_path / "talk.jsonl").read_text().splitlines()]
    assert [row[0]["content"] for row in rows] == ["remember me", "remember me"]
    history = tmp_path / "streamgauge" / "infer_history"
    assert history.stat().st_mode & 0o077 == 0


def test_ctrl_c_stops_the_answer_and_not_the_chat(tmp_path: Path) -> None:
    with (
        serving(scripted_engine(ttft_s=0.01, itl_s=0.05)) as served,
        chat(tmp_path, "--base-url", served.url) as program,
    ):
        program.wait_for(">")
        program.type("tell me a lot\r")
        program.wait_for(" the ")  # in the answer
        program.type(CTRL_C)
        program.wait_for("stopped")
        program.wait_for(">")
        program.type(f"/save {tmp_path / 'talk.jsonl'}\r")
        program.wait_for("1 turn added")
        program.type(CTRL_C)  # at the prompt it is a reminder
        program.wait_for("Ctrl-D or /exit ends the chat.")
        program.wait_for(">")
        program.type(CTRL_D)
        assert program.end() == 0
    question, answer = json.loads((tmp_path / "talk.jsonl").read_text())["messages"]
    assert question["content"] == "tell me a lot"
    assert " the " in answer["content"]


def test_the_model_runs_in_this_process_and_survives_ctrl_c(tmp_path: Path) -> None:
    with chat(tmp_path, "--engine", "scripted", "--script", "ttft_ms=10,itl_ms=50", "--system", "be brief") as program:
        program.wait_for(">")
        program.type("/system\r")
        program.wait_for("System message: be brief")
        for _ in range(2):
            program.wait_for(">")
            program.type("tell me a lot\r")
            program.wait_for(" the ")
            program.type(CTRL_C)
            program.wait_for("stopped")
        program.wait_for(">")
        program.type(CTRL_D)
        assert program.end() == 0


def test_a_question_that_is_refused_can_be_asked_again(tmp_path: Path) -> None:
    with (
        serving(scripted_engine()) as served,
        chat(tmp_path, "--base-url", served.url, "--max_new_tokens", "3") as program,
    ):
        program.wait_for(">")
        program.type("hello\r")
        program.wait_for("3 tokens")
        program.wait_for(">")
        program.type("/set max_tokens=100000\r")
        program.wait_for("max_tokens=100000")
        program.wait_for(">")
        program.type("more\r")
        program.wait_for("error: ")
        program.wait_for("/retry asks it again")
        program.wait_for(">")
        program.type("/set max_tokens=2\r")
        program.wait_for("max_tokens=2")
        program.wait_for(">")
        program.type("/retry\r")
        program.wait_for("2 tokens")
        program.wait_for(">")
        program.type(CTRL_D)
        assert program.end() == 0


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_left_out_where_they_are_not_wanted(tmp_path: Path, url: str, environment: dict[str, str]) -> None:
    with chat(tmp_path, "--base-url", url, "--max_new_tokens", "3", **environment) as program:
        program.wait_for(">")
        program.type("hello\n" if "TERM" in environment else "hello\r")
        program.wait_for("3 tokens")
        program.wait_for(">")
        program.type(CTRL_D)
        assert program.end() == 0
    assert b"\x1b[2m" not in program.shown
    if "TERM" in environment:
        assert b"\x1b" not in program.shown


def test_a_base_model_continues_each_text_by_itself(tmp_path: Path) -> None:
    with (
        serving(scripted_engine(), ServerSettings(model_names=("base",), is_chat=False)) as served,
        chat(tmp_path, "--base-url", served.url, "--max_new_tokens", "3") as program,
    ):
        program.wait_for("It is a base model")
        program.wait_for(">")
        program.type("Once upon\r")
        program.wait_for("3 tokens")
        program.wait_for(">")
        program.type("/system x\r")
        program.wait_for("takes no system message")
        program.wait_for(">")
        program.type(CTRL_D)
        assert program.end() == 0
