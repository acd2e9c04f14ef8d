"""The figures as CSV: one row per figure and percentile, over the steady window and over the whole run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from bench.figures.catalogue import FIGURES, SPEED_PER_USER
from bench.records.result import Figures, Result
from bench.report.material import Material

_HEADER = ("window", "figure", "statistic", "unit", "value", "low", "high", "client_error", "samples")
_Row = tuple[object, ...]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def show(material: Material) -> str:
    """The text for `--format csv`."""
    return render_csv(material.shown)


def render_csv(result: Result) -> str:
    """All figures. A cell is empty if the value does not exist."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER)
    for window, figures in (("steady", result.headline), ("whole run", result.whole_run)):
        writer.writerows(map(_fit, (window, *row)) for row in _rows(figures))
    return out.getvalue()


def _fit(cell: object) -> object:
    """A cell that no spreadsheet interprets as a formula (OWASP, CSV injection); numbers stay unchanged."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _rows(figures: Figures) -> Iterator[_Row]:
    rates = {
        "requests": ("1/s", figures.requests_per_s),
        "output_tokens": ("1/s", figures.output_tokens_per_s),
        "input_tokens": ("1/s", figures.input_tokens_per_s),
        "concurrency": ("requests", figures.mean_concurrency),
        "goodput": ("1/s", None if figures.goodput is None else figures.goodput.requests_per_s),
    }
    for name, (unit, value) in rates.items():
        yield (name, "mean", unit, value, None, None, None, figures.requests)
    for name, found in (figures.latency | {SPEED_PER_USER.name: figures.speed_per_user}).items():
        unit = FIGURES[name].unit
        for statistic, value in (("mean", found.mean), ("min", found.min), ("max", found.max)):
            yield (name, statistic, unit, value, None, None, None, found.n)
        for percent, told in found.percentiles.items():
            yield (name, f"p{percent}", unit, told.value, told.low, told.high, told.client_error, found.n)
