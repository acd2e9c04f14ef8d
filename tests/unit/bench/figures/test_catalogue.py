"""The catalogue and its readers: every figure in it can be asked for, and appears wherever figures appear."""

from __future__ import annotations

import csv
import io

import click
import pytest

from bench.cli.values import ROWS, rows
from bench.figures.catalogue import FIGURES, LATENCIES, LIMITED, PER_REQUEST, POOLED, Figure
from bench.figures.request_table import COLUMNS, RequestTable
from bench.figures.slo import parse_goodput
from bench.records.result import Figures
from bench.records.run import DEFAULT_ROWS, View
from bench.report.schema import result_schema
from bench.report.spreadsheet import render_csv
from bench.report.table import latency_table
from bench.truth.comparison import compare
from bench.truth.log import Truth
from tests.unit.bench.rows import T0, columns
from tests.unit.bench.runs import run
from tests.unit.bench.test_summary import back_to_back, result_of

ALIASES = [(alias, figure.name) for figure in LATENCIES.values() for alias in figure.aliases]


@pytest.fixture(scope="module")
def figures() -> Figures:
    return result_of(run(), *back_to_back(10)).headline


def test_a_result_has_every_figure(figures: Figures) -> None:
    assert set(figures.latency) == set(LATENCIES)
    assert all(found.n for found in figures.latency.values())


def test_a_table_can_have_every_figure_as_a_row(figures: Figures) -> None:
    ((_, *lines),), _ = latency_table(figures, View(rows=ROWS), None, 118)
    assert [line.partition("  ")[0] for line in lines] == [figure.label for figure in LATENCIES.values()]


def test_the_csv_has_every_figure_in_its_unit() -> None:
    text = render_csv(result_of(run(), *back_to_back(10)))
    units = {line["figure"]: line["unit"] for line in csv.DictReader(io.StringIO(text))}
    assert {name: figure.unit for name, figure in FIGURES.items()}.items() <= units.items()


def test_the_schema_describes_every_figure() -> None:
    described = result_schema()["$defs"]["Figures"]["properties"]
    latencies = described.pop("latency")["properties"]
    for name, figure in FIGURES.items():
        assert figure.definition in (latencies | described)[name]["description"]


@pytest.mark.parametrize("figure", PER_REQUEST, ids=lambda figure: figure.name)
def test_a_figure_per_request_is_a_column_with_its_errors(figure: Figure) -> None:
    table = RequestTable(columns(*back_to_back(3)))
    assert [len(part) for part in table.figure(figure.name)] == [3, 3, 3]


def test_every_column_of_figures_is_in_the_catalogue() -> None:
    assert list(COLUMNS) == [figure.name for figure in PER_REQUEST]


def test_every_figure_is_pooled_or_has_one_sample_per_request() -> None:
    assert {figure.name for figure in (*PER_REQUEST, *POOLED)} == set(LATENCIES)
    assert not set(LIMITED) & {figure.name for figure in POOLED}


@pytest.mark.parametrize(("given", "meant"), [*zip(ROWS, ROWS, strict=True), *ALIASES])
def test_a_row_can_be_asked_for_by_each_of_its_names(given: str, meant: str) -> None:
    assert rows(given.upper()) == (meant,)


@pytest.mark.parametrize(("given", "meant"), [(name, name) for name in LIMITED] + ALIASES)
def test_a_limit_can_be_set_by_each_name_of_its_figure(given: str, meant: str) -> None:
    assert parse_goodput([f"{given}:20"]) == {meant: 20}


def test_a_name_that_is_not_in_the_catalogue_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="must be one of ttft, "):
        rows("ttfx")


def test_names_and_labels_are_unique() -> None:
    names = [*FIGURES, *(alias for alias, _ in ALIASES)]
    assert len(set(names)) == len(names)
    assert len({figure.label for figure in FIGURES.values()}) == len(FIGURES)


def test_the_default_rows_and_the_stand_ins_are_in_the_catalogue() -> None:
    assert set(DEFAULT_ROWS) <= set(LATENCIES)
    assert {figure.stand_in for figure in LATENCIES.values() if figure.stand_in} <= set(LATENCIES)


def test_the_self_test_compares_the_figures_that_have_a_limit_in_it(figures: Figures) -> None:
    made = back_to_back(10)
    for one in made:
        one.record.request_id = f"{one.record.request}"
    truths = {
        f"{one.record.request}": Truth(
            id=f"{one.record.request}",
            read_ns=one.record.send_ns or 0,
            stamps=[ns for ns, *_ in one.events],
            tokens=[1] * len(one.events),
            visible=[True] * len(one.events),
        )
        for one in made
    }
    found = compare(figures, T0, [one.record for one in made], truths)
    assert {deviation.figure for deviation in found.deviations} == {
        name for name, figure in LATENCIES.items() if figure.truth_limits_ms is not None
    }
    assert all(deviation.error == pytest.approx(0) for deviation in found.deviations)
    assert found.is_exact
