"""Colours and cursor movements only where they are wanted, by the variables that all tools know."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from bench.terminal import can_move_cursor, columns_of, wants_colour
from tests.support.gateway import CHAT, answer, gateway
from tests.support.serving import ROOT
from tests.support.wire import WireServer


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "on_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"TERM": "xterm-256color"}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "unknown"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True, True),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
    ],
)
def test_who_gets_colours(environment: dict[str, str], on_terminal: bool, in_pipe: bool) -> None:
    assert wants_colour(Terminal(), environment) is on_terminal
    assert wants_colour(StringIO(), environment) is in_pipe


def test_forced_colours_do_not_move_the_cursor() -> None:
    assert not can_move_cursor(StringIO(), {"FORCE_COLOR": "1"})
    assert not can_move_cursor(Terminal(), {"TERM": "dumb", "FORCE_COLOR": "1"})
    assert can_move_cursor(Terminal(), {"NO_COLOR": "1"})


def on_a_terminal(tmp_path: Path, url: str, **environment: str) -> str:
    """All that the bench sends to a terminal."""
    leader, follower = pty.openpty()
    decisive = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE")
    plain = {name: value for name, value in os.environ.items() if name not in decisive}
    load = ("--concurrency", "2", "--num-requests", "40", "--result-dir", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "--base-url", url, *load],
        cwd=ROOT,
        env=plain | {"TERM": "xterm"} | environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    sent = b""
    try:
        while block := os.read(leader, 65536):
            sent += block
    except OSError:  # the other end is closed
        pass
    finally:
        process.wait(30)
        os.close(leader)
    return sent.decode()


@pytest.mark.parametrize(
    ("environment", "colours", "moves"),
    [({}, True, True), ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False)],
    ids=["as it is", "NO_COLOR", "dumb"],
)
def test_what_a_terminal_is_sent(tmp_path: Path, environment: dict[str, str], colours: bool, moves: bool) -> None:
    with WireServer(gateway({CHAT: answer})) as server:
        sent = on_a_terminal(tmp_path, server.url, **environment)
    assert "✔ 40 ok" in re.sub(r"\x1b\[[0-9;]*m", "", sent)
    assert bool(re.search(r"\x1b\[[0-9;]*m", sent)) is colours
    assert bool(re.search(r"\x1b\[[0-9;?]*[A-LN-Za-ln-z]", sent)) is moves


@pytest.mark.parametrize("given", ["0", "-5", "²", "9" * 5000, "x"])
def test_a_width_that_no_terminal_has_is_not_taken(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", given)
    assert columns_of(Terminal()) is None
    monkeypatch.setenv("COLUMNS", "77")
    assert columns_of(Terminal()) == 77
