"""The latency table: a row a figure, numbers right-aligned, `n/a` with a footnote that says why and what would help."""

from __future__ import annotations

import math

from bench.result import Figures
from bench.run import LoadFacts, View
from bench.stats import Distribution, Percentile, needed_samples, percent_key
from bench.units import format_duration

LABELS = {
    "ttft": "TTFT",
    "ttfv": "TTFV",
    "itl": "ITL",
    "icl": "ICL",
    "tpot": "TPOT",
    "e2e": "E2E",
    "max_gap": "max gap",
    "lateness": "lateness",
}
POOLED = frozenset({"itl", "icl"})  # a sample a gap, where the other rows have a sample a request

_MARKS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_NOT_AVAILABLE = "n/a"
# The interval is shown for one percentile; the JSON has it for all.
_WITH_INTERVAL = 99.0


class Footnotes:
    """Numbers reasons as they come up, the same reason once."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def mark(self, text: str) -> str:
        """The mark of a footnote."""
        if text not in self._texts:
            self._texts.append(text)
        return "".join(_MARKS[int(digit)] for digit in str(self._texts.index(text) + 1))

    def lines(self) -> list[str]:
        """All footnotes, each after its mark."""
        return [f"{self.mark(text)} {text}" for text in self._texts]


def latency_table(figures: Figures, view: View, load: LoadFacts) -> tuple[list[str], list[str]]:
    """The lines of the table, and its footnotes. ITL that cannot be told gives way to ICL."""
    notes = Footnotes()
    wanted = list(view.rows)
    if "itl" in wanted and figures.latency["itl"].n == 0 and figures.latency["icl"].n and "icl" not in wanted:
        wanted.insert(wanted.index("itl") + 1, "icl")
    header = ["", "", "mean", *(f"p{percent_key(p)}" for p in view.percentiles), "max"]
    rows = [_row(name, figures.latency[name], view, load, figures, notes) for name in wanted]
    if _WITH_INTERVAL in view.percentiles:
        after = header.index(f"p{percent_key(_WITH_INTERVAL)}") + 1
        header.insert(after, "[95 % interval]")
        for name, row in zip(wanted, rows, strict=True):
            row.insert(after, _interval(figures.latency[name].percentiles[percent_key(_WITH_INTERVAL)]))
    return _align([header, *rows]), notes.lines()


def _row(name: str, figure: Distribution, view: View, load: LoadFacts, figures: Figures, notes: Footnotes) -> list[str]:
    cells = [LABELS[name], "ms"]
    if figure.n == 0:
        mark = notes.mark(figure.reason or "no samples")
        return cells + [_NOT_AVAILABLE + mark] * (len(view.percentiles) + 2)
    cells.append(_figure(figure.mean))
    for percent in view.percentiles:
        found = figure.percentiles[percent_key(percent)]
        if found.value is None:
            cells.append(_NOT_AVAILABLE + notes.mark(_unsupported(name, figure.n, percent, load, figures)))
        else:
            cells.append(_figure(found.value))
    cells.append(_figure(figure.max))
    return cells


def _unsupported(name: str, n: int, percent: float, load: LoadFacts, figures: Figures) -> str:
    """Why a percentile is not there, and the option that would bring it."""
    needed = needed_samples(percent)
    what = "gaps" if name in POOLED else "requests"
    text = f"{n:,} {what} cannot support p{percent:g} (needs {needed:,})"
    growth = 1.02 * needed / n
    if load.requests is not None:
        return f"{text}: --num-requests {_round_up(load.requests * growth)} would"
    if load.duration_s is not None and figures.window.length_s > 0:
        lost = max(0.0, load.duration_s - figures.window.length_s)
        return f"{text}: --duration {format_duration(_round_up(figures.window.length_s * growth + lost))} would"
    return text


def _round_up(value: float) -> int:
    """Up to two significant digits, as one would type it."""
    step = int(10 ** max(0, math.floor(math.log10(max(value, 1))) - 1))
    return math.ceil(value / step) * step


def _interval(found: Percentile) -> str:
    if found.value is None or found.low is None or found.high is None:
        return ""
    return f"[{_figure(found.low)}, {_figure(found.high)}]"


def _figure(value: float | None) -> str:
    """Milliseconds with one decimal, three where they are under one."""
    if value is None:
        return _NOT_AVAILABLE
    return f"{value:.3f}" if 0 < abs(value) < 0.1 else f"{value:,.1f}"


def _align(rows: list[list[str]]) -> list[str]:
    """Columns by their widest cell; numbers end under each other, footnote marks stand beyond."""
    widths = [max(len(_bare(row[column])) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            pad = width - len(_bare(cell))
            mark = cell[len(_bare(cell)) :]
            cells.append(_bare(cell) + " " * pad if column < 2 else " " * pad + _bare(cell) + mark.ljust(1))
        lines.append("  ".join(cells).rstrip())
    return lines


def _bare(cell: str) -> str:
    """A cell without its footnote marks."""
    return cell.rstrip(_MARKS)
