"""The pages name all that there is: options, rows, outcomes and checks."""

from __future__ import annotations

import ast

import pytest

from bench.cli.load_test import load_test
from bench.cli.recompute import report
from bench.cli.selftest import selftest
from bench.cli.values import ROWS
from bench.outcome import Outcome
from bench.report.table import LABELS
from tests.support.serving import ROOT

METRICS = (ROOT / "docs" / "metrics.md").read_text("utf-8")
BENCH = (ROOT / "docs" / "bench.md").read_text("utf-8")
COMMANDS = (load_test, report, selftest)
NAMES = [name for command in COMMANDS for param in command.params for name in (*param.opts, *param.secondary_opts)]
OPTIONS = sorted({name for name in NAMES if name.startswith("--")})


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_is_explained(option: str) -> None:
    assert f"`{option}" in BENCH


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OK])
def test_each_outcome_is_defined(outcome: Outcome) -> None:
    assert f"`{outcome}`" in METRICS


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_defined(row: str) -> None:
    assert LABELS[row] in METRICS


def codes_of_checks() -> set[str]:
    """Every `code="…"` that the checks are made with, off the source."""
    tree = ast.parse("\n".join(path.read_text("utf-8") for path in (ROOT / "bench").glob("*checks.py")))
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


def test_the_exit_codes_are_told() -> None:
    for code in (0, 1, 2, 130):
        assert f"\n| {code} | " in BENCH
