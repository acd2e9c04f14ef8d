"""`bench compare` on folders of runs: what is printed, the exit codes, and one line for each wrong use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click import unstyle

from bench.cli.main import main
from tests.unit.bench.rows import Row, row
from tests.unit.bench.runs import keep_run, run


def rows(seed: int, slower: float, requests: int) -> list[Row]:
    """One stream of requests, whose first token takes 20 to 60 ms times `slower`."""
    length = 100 * slower
    first = np.random.default_rng(seed).uniform(0.2, 0.6, requests) * length
    return [
        row(n, n * length, [n * length + first[n] + share * (length - first[n]) for share in (0, 0.3, 0.6, 1)])
        for n in range(requests)
    ]


def keep(parent: Path, seed: int, slower: float = 1.0, requests: int = 60, **load: Any) -> Path:
    facts = run(stopped=requests * 100 * slower, load=load)
    folder = keep_run(parent, facts, rows(seed, slower, requests))
    folder.close()
    return folder.path


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`before` and `again` are the same server, `after` is a slower one."""
    parent = tmp_path_factory.mktemp("sides")
    for name, slower, first in (("before", 1.0, 1), ("again", 1.0, 11), ("after", 1.2, 21)):
        for seed in range(first, first + 3):
            keep(parent / name, seed, slower)
    return parent


def compare(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["compare", *map(str, arguments)])
    said = capsys.readouterr()
    return int(end.value.code or 0), unstyle(said.out), unstyle(said.err)


def test_folders_of_runs_are_compared(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = compare(capsys, sides / "before", sides / "after")
    assert (code, err) == (0, "")
    assert f"before 3 runs, {sides}/before/2026-01-02-000000 …" in " ".join(out.split())
    (ttft,) = [line for line in out.split("\n") if line.startswith("  TTFT p50")]
    assert ttft.endswith("worse")
    (rate,) = [line for line in out.split("\n") if line.startswith("  requests")]
    assert rate.endswith("worse")


def test_single_runs_are_compared_with_a_note(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (next((sides / name).iterdir()) for name in ("before", "after"))
    code, out, _ = compare(capsys, first, second)
    assert code == 0
    assert "note     one run on a side" in out


@pytest.mark.parametrize(
    ("side", "limit", "code", "words"),
    [
        ("after", "ttft_p50>+5%", 1, "ttft_p50>+5%: FAILED"),
        ("after", "ttft_p50>+90%", 0, "ttft_p50>+90%: passed"),
        ("again", "ttft_p50>+5%", 0, "ttft_p50>+5%: passed"),
        ("again", "ttft_p99>+5%", 1, "ttft_p99>+5%: FAILED, because it could not be judged: before: p99 needs 299"),
    ],
)
def test_a_limit_decides_the_exit_code(
    sides: Path, capsys: pytest.CaptureFixture[str], side: str, limit: str, code: int, words: str
) -> None:
    found, out, _ = compare(capsys, sides / "before", sides / side, "--fail-if", limit)
    assert found == code
    assert words in " ".join(out.split())


def test_json_goes_to_a_file_or_to_standard_output(
    sides: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    figures = ("--figures", "ttft_mean,req_s")
    compare(capsys, sides / "before", sides / "after", *figures, "--json", tmp_path / "c.json")
    content = json.loads((tmp_path / "c.json").read_text())
    assert [change["quantity"] for change in content["changes"]] == ["ttft_mean", "requests_per_s"]
    code, out, err = compare(capsys, sides / "before", sides / "after", *figures, "--json", "-")
    assert (code, json.loads(out)) == (0, content)
    assert "TTFT mean" in err
    _, out, _ = compare(capsys, sides / "before", sides / "after", *figures, "--format", "json")
    assert json.loads(out) == content


def test_markdown_is_a_table(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = compare(capsys, sides / "before", sides / "after", "--format", "markdown")
    assert "| --- | ---: | ---: | ---: | ---: | ---: |" in out


@pytest.mark.parametrize(
    ("load", "option", "values"),
    [({"streams": 2}, "concurrency", "1 and 2"), ({"output_len": 64}, "output-len", "128 and 64")],
)
def test_unlike_plans_are_refused_unless_that_is_allowed(
    sides: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, load: dict[str, int], option: str, values: str
) -> None:
    other = keep(tmp_path, 1, **load)
    code, out, err = compare(capsys, sides / "before", other)
    assert (code, out) == (2, "")
    assert err == (
        f"error: the runs are not alike: --{option} differs ({values}); compare runs of the same load, "
        f"or give --allow {option}\n"
    )
    code, out, _ = compare(capsys, sides / "before", other, "--allow", option)
    assert code == 0
    assert f"note     --{option} differs: {values}" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--figures", "speed"), "--figures must be a figure: ttft"),
        (("--fail-if", "ttft_p99>5"), "--fail-if must be a figure, < or >, and a change in percent"),
        (("--fail-if", "speed>5%"), "--fail-if must be a figure: ttft"),
        (("--allow", "seed"), "--allow must name options: request-rate, concurrency"),
        (("--threshold", "-1"), "--threshold must be from 0 to 100 (got -1)"),
        (("--format", "html"), "--format must be one of console, markdown, json"),
        (("--json", "/no/such/folder/c.json"), "--json /no/such/folder/c.json"),
    ],
)
def test_wrong_options_are_one_line(
    sides: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = compare(capsys, sides / "before", sides / "after", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_what_is_not_a_run_is_one_line(sides: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = compare(capsys, sides / "before", tmp_path)
    assert (code, err) == (2, f"error: {tmp_path}: is not the folder of a run: it has no run.json\n")
    code, _, err = compare(capsys, sides / "before", tmp_path / "none")
    assert code == 2
    assert err.startswith(f"error: {tmp_path}/none/run.json: cannot be read (No such file or directory)")


def test_a_run_without_its_records_is_one_line(sides: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    broken = keep(tmp_path, 1)
    (broken / "requests.jsonl").unlink()
    code, out, err = compare(capsys, sides / "before", broken)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{broken}/requests.jsonl" in err


def test_both_sides_are_needed(sides: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(capsys, sides / "before") == (2, "", "error: AFTER is missing; see --help\n")
