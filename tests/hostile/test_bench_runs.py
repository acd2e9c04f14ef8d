"""A run's folder from somebody else, with numbers that no run has: one line says what is wrong, nothing is computed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.bench_process import run_bench
from tests.support.endless import after
from tests.support.wire import WireServer


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    with WireServer(after(1_000, lambda peer: None)) as server:
        ran = run_bench(folder, "--base-url", server.url, "--concurrency", "2", "--num-requests", "20")
    assert ran.code == 0
    (run,) = (folder / "runs").glob("*/run.json")
    return run.parent


def _changed(content: dict[str, object], place: str, value: str) -> str:
    """The JSON with another value at a place, `value` being JSON, too."""
    *outer, name = place.split(".")
    found = content
    for key in outer:
        inner = found[key]
        assert isinstance(inner, dict)
        found = inner
    found[name] = "PLACE"
    return json.dumps(content).replace('"PLACE"', value)


HUGE, DEEP = "1" + "0" * 30, '{"a":' + "[" * 500 + "]" * 500 + "}"


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("load.streams", "0", "load.streams is 0"),
        ("view.percentiles", "[-5, 1e9]", "view.percentiles must be up to 1000 numbers between 0 and 100"),
        ("view.rows", '["\\u001b[2J"]', r"view.rows has '\x1b[2J', which is not a known figure"),
        ("view.goodput", '{"a": 1}', "view.goodput has 'a': 1"),
        ("begun_ns", HUGE, "a time is out of range"),
        ("stopped_ns", str(2**61), "it spans more than 60 days"),
        ("health.wall_s", "0", "health.wall_s is 0"),
        ("target.url", '"http://["', "target.url is not a valid address"),
        ("environment", DEEP, "environment or config is nested more than 64 levels"),
    ],
)
def test_facts_that_no_run_has(place: str, value: str, words: str, kept: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(kept, tmp_path / "run"))
    file = run / "run.json"
    file.write_text(_changed(json.loads(file.read_bytes()), place, value))
    assert _refusal(run, tmp_path).startswith(f"not a run of this tool: {words}")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("waited_ns", HUGE, "has a number of more than 64 bits"),
        ("waited_ns", str(2**62), f"not a run of this tool: waited_ns of a request is {2**62}"),
        ("first_tokens", "-9", "not a run of this tool: first_tokens of a request is -9"),
        ("end_ns", str(2**63 - 1), "not a run of this tool: a time is out of range"),
    ],
)
def test_records_that_no_run_has(place: str, value: str, words: str, kept: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(kept, tmp_path / "run"))
    file = run / "requests.jsonl"
    *lines, last = file.read_text().splitlines()
    file.write_text("\n".join([*lines, _changed(json.loads(last), place, value), ""]))
    assert words in _refusal(run, tmp_path)


@pytest.mark.parametrize("name", ["run.json", "requests.jsonl", "moments.bin"])
def test_what_is_no_file_is_not_waited_for(name: str, kept: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(kept, tmp_path / "run"))
    (run / name).unlink()
    os.mkfifo(run / name)
    ran = run_bench(tmp_path, "report", str(run))
    assert (ran.code, ran.text) == (2, f"error: {run / name}: is not a file\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run.json", "run.json: is over 67,108,864 bytes"),
        ("requests.jsonl", "requests.jsonl, line 21: is over 1,048,576 bytes"),
    ],
)
def test_what_is_too_large_is_not_read(name: str, words: str, kept: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(kept, tmp_path / "run"))
    lines = (run / name).read_bytes().count(b"\n")
    with (run / name).open("r+b") as file:
        file.truncate(2**31)  # a hole
    ran = run_bench(tmp_path, "report", str(run))
    assert ran.code == 2
    assert ran.megabytes < 200
    assert words.replace("line 21", f"line {lines + 1}") in ran.text


def _refusal(run: Path, folder: Path) -> str:
    ran = run_bench(folder, "report", str(run))
    assert (ran.code, ran.out) == (2, b"")
    assert ran.text.count("\n") == 1
    return ran.text.rstrip().rpartition(f"{run}: ")[2]
