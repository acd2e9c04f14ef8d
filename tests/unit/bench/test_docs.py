"""The pages describe every option, figure, outcome and check."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import pytest

from bench.cli.compare import compare
from bench.cli.load_test import load_test
from bench.cli.recompute import report
from bench.cli.selftest import selftest
from bench.compare.judgement import Conclusion
from bench.compare.unlike import MAY_DIFFER
from bench.figures.catalogue import FIGURES, LATENCIES, LIMITED, Figure
from bench.outcome import Outcome
from bench.records.moments import (
    DOUBT_SHIFT,
    DOUBT_UNIT_SHIFT,
    KIND_SHIFT,
    MOST_DOUBT,
    MOST_TOKENS,
    REQUEST_SHIFT,
    UNKNOWN_TOKENS,
    Kind,
    MomentLog,
    doubt_code,
)
from bench.records.record import OUTCOMES
from bench.report.formats import listed_formats
from tests.support.serving import ROOT
from tests.unit.bench.options import parse

METRICS = (ROOT / "docs" / "metrics.md").read_text("utf-8")
BENCH = (ROOT / "docs" / "bench.md").read_text("utf-8")
COMPARING = (ROOT / "docs" / "comparing.md").read_text("utf-8")


def options_of(*commands: click.Command) -> list[str]:
    names = [name for command in commands for param in command.params for name in (*param.opts, *param.secondary_opts)]
    return sorted({name for name in names if name.startswith("--")})


OPTIONS = options_of(load_test, report, selftest)


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_is_explained(option: str) -> None:
    assert f"`{option}" in BENCH


@pytest.mark.parametrize("option", sorted({*options_of(compare)} - {*OPTIONS}))
def test_each_option_of_a_comparison_is_explained(option: str) -> None:
    assert f"`{option}" in COMPARING or f" {option} " in COMPARING


def test_the_options_in_which_plans_may_differ_are_listed() -> None:
    assert all(f"`--{name}`" in COMPARING for name in MAY_DIFFER)


def test_each_conclusion_is_explained() -> None:
    rows = {line.split("|")[1].strip() for line in COMPARING.splitlines() if line.startswith("| ")}
    assert {"better, worse", *get_args(Conclusion)} - {"better", "worse"} <= rows


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OK])
def test_each_outcome_is_defined(outcome: Outcome) -> None:
    assert f"`{outcome}`" in METRICS


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)
def test_each_figure_is_defined_in_the_words_of_the_catalogue(figure: Figure) -> None:
    assert f"\n| {figure.label} | {figure.definition} | " in METRICS.replace("*", "")


@pytest.mark.parametrize(
    ("option", "figures"),
    [("--percentile-metrics", tuple(LATENCIES)), ("--goodput", LIMITED)],
    ids=lambda part: part[:9],
)
def test_the_figures_that_an_option_accepts_are_listed_with_it(option: str, figures: tuple[str, ...]) -> None:
    (row,) = [line for line in BENCH.splitlines() if line.startswith(f"| `{option} ")]
    assert [name for name in re.findall(r"`(\w+)`", row) if name in FIGURES][: len(figures)] == list(figures)


def test_the_formats_are_listed_with_their_option() -> None:
    (row,) = [line.replace("`", "") for line in BENCH.splitlines() if line.startswith("| `--format ")]
    listed = row.replace("console (default)", "console").partition("what to print: ")[2]
    assert listed.removesuffix(" |") == listed_formats()


def codes_of_checks() -> set[str]:
    """Every `code="…"` in the source of the checks."""
    tree = ast.parse("\n".join(path.read_text("utf-8") for path in (ROOT / "bench" / "checks").glob("*.py")))
    named = {
        keyword.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }
    assigned = {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and [target.id for target in node.targets if isinstance(target, ast.Name)] == ["code"]
    }
    return named | assigned


def test_each_check_is_defined() -> None:
    codes = codes_of_checks()
    assert "littles_law" in codes
    assert {code for code in codes if f"`{code}`" not in METRICS} == set()


def test_the_described_format_of_the_moments_reads_them_back() -> None:
    """The page's own description of the fields reads back what was written."""
    page = BENCH.partition("### The format of moments.bin")[2].partition("\n## ")[0]
    ends = page.partition("The ends are, from 0: ")[2].partition(". A row")[0]
    assert [name.strip("`") for name in ends.replace("\n", " ").split(", ")] == [str(outcome) for outcome in OUTCOMES]
    kinds = page.partition("kind: ")[2].partition(" |")[0].split(", ")
    assert [int(part.split()[0]) for part in kinds if part[0].isdecimal()] == [int(kind) for kind in Kind]
    code = page.partition("```python\n")[2].partition("```")[0].partition("\n")[2]
    noted = MomentLog()
    noted.note(-3, Kind.SEND, 5)
    noted.rows.extend((7, 9 << REQUEST_SHIFT | Kind.VISIBLE << KIND_SHIFT | doubt_code(40_000) << DOUBT_SHIFT | 2))
    found: dict[str, Any] = {"rows": np.frombuffer(noted.rows.tobytes(), dtype="<i8").reshape(-1, 2)}
    exec(code, found)  # the page's own lines
    assert found["ns"].tolist() == [5, 7]
    assert found["request"].tolist() == [-3, 9]
    assert found["kind"].tolist() == [1, 3]
    assert found["doubt_ns"].tolist() == [0, 3 * 16_384]
    assert found["tokens"].tolist() == [0, 2]
    for number in ("65,534", "65,535", "16,384", "4,095"):
        assert number in page
    assert (MOST_TOKENS, UNKNOWN_TOKENS, 1 << DOUBT_UNIT_SHIFT, MOST_DOUBT) == (65_534, 65_535, 16_384, 4_095)


def test_the_example_configuration_file_works(tmp_path: Path) -> None:
    page = BENCH.partition("### Configuration file")[2].partition("```yaml\n")[2].partition("```")[0]
    key, file = tmp_path / "key", tmp_path / "gateway.yaml"
    key.write_text("sk-1\n")
    file.write_text(page.replace("/run/secrets/key", str(key)))
    settings = parse("--config", str(file), "--concurrency", "8")
    assert settings.streams == 8
    assert settings.view.goodput == {"ttft": 200, "tpot": 50}


def test_the_exit_codes_are_listed() -> None:
    for code in (0, 1, 2, 130):
        assert f"\n| {code} | " in BENCH
