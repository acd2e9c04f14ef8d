"""The program beside its options: help, version and its own name."""

from __future__ import annotations

import sys

import pytest

from bench.cli.main import main
from streamgauge.version import version_line
from tests.unit.bench.options import parse


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("command", [(), ("report",), ("selftest",)])
def test_help_fits_the_terminal(
    command: tuple[str, ...], columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= min(columns, 112)


@pytest.mark.parametrize("command", [(), ("report",), ("selftest",)])
def test_each_command_knows_its_version(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, "--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"{version_line()}\n")


@pytest.mark.parametrize(
    ("started", "program"),
    [
        (["python", "-m", "bench"], "python -m bench"),
        (["/usr/bin/python3", "/a/bin/streamgauge", "bench"], "streamgauge bench"),
        (["/usr/bin/python3", "-m", "streamgauge.console", "bench"], "python -m bench"),
    ],
)
def test_the_program_is_named_as_it_was_started(
    started: list[str], program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "orig_argv", started)
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"Usage: {program} [OPTIONS]" in text
    assert f"{program} report RUN." in text
    assert parse().again == f"{program} --seed 7"
