"""The latency table: one row per figure, and `n/a` with a footnote that explains why and what would help."""

from __future__ import annotations

import math

from bench.figures.catalogue import LATENCIES
from bench.figures.stats import needed_samples
from bench.records.result import Distribution, Figures, Percentile, percent_key
from bench.records.run import LoadFacts, View
from bench.units import format_duration, plural

_MARKS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_NOT_AVAILABLE = "n/a"
# The table shows the interval of one percentile; the JSON has those of all.
_WITH_INTERVAL = 99.0


class Footnotes:
    """Numbers the reasons for missing figures in the order of their first use."""

    def __init__(self, figures: Figures, load: LoadFacts | None) -> None:
        self._figures, self._load = figures, load
        self._order: list[str] = []
        self._unsupported: dict[str, tuple[int, dict[float, int]]] = {}

    def reason(self, text: str) -> str:
        """The mark of a reason."""
        if text not in self._order:
            self._order.append(text)
        return "".join(_MARKS[int(digit)] for digit in str(self._order.index(text) + 1))

    def unsupported(self, name: str, n: int, percent: float) -> str:
        """The mark of a percentile for which a sample of `n` is too small."""
        sample = plural(n, "gap" if LATENCIES[name].pooled else "request")
        _, needed = self._unsupported.setdefault(sample, (n, {}))
        needed[percent] = needed_samples(percent)
        return self.reason(sample)

    def lines(self) -> list[str]:
        """All footnotes, each after its mark."""
        return [f"{self.reason(text)} {self._whole(text)}" for text in self._order]

    def _whole(self, text: str) -> str:
        if text not in self._unsupported:
            return text
        n, needed = self._unsupported[text]
        listed = [
            f"p{percent:g} (needs {samples:,}{self._remedy(1.02 * samples / n)})" for percent, samples in needed.items()
        ]
        return f"{text} cannot support {', '.join(listed)}"

    def _remedy(self, growth: float) -> str:
        """The option that would make the sample `growth` times as large."""
        load, length_s = self._load, self._figures.window.length_s
        if load is None:
            return ""
        if load.requests is not None:
            return f": --num-requests {_round_up(load.requests * growth)}"
        if load.duration_s is None or length_s <= 0:
            return ""
        needed_s = length_s * growth + max(0.0, load.duration_s - length_s)
        minutes = math.ceil(needed_s / 60)
        return f": --duration {format_duration(minutes * 60 if minutes > 5 else _round_up(needed_s))}"


def latency_table(
    figures: Figures, view: View, load: LoadFacts | None, width: int
) -> tuple[list[list[str]], list[str]]:
    """The lines of the table, header first, and its footnotes.

    With `load`, a footnote says how much more load the missing figures need. A table that is too wide loses its
    interval, then some of its space; then it is split into several tables, one below the other.
    """
    notes = Footnotes(figures, load)
    wanted = _rows_with_stand_ins(figures, view)
    header = ["", "", "mean", *(f"p{percent_key(p)}" for p in view.percentiles), "max"]
    rows = [header, *(_row(name, figures.latency[name], view, notes) for name in wanted)]
    errors = [_client_error(figures.latency[name], view) for name in wanted]
    if any(errors):
        rows = [[*row, cell] for row, cell in zip(rows, ["client", *errors], strict=True)]
    if _WITH_INTERVAL in view.percentiles:
        after = header.index(f"p{percent_key(_WITH_INTERVAL)}") + 1
        found = [figures.latency[name].percentiles[percent_key(_WITH_INTERVAL)] for name in wanted]
        cells = ["[95 % interval]", *map(_interval, found)]
        wide = _align([[*row[:after], cell, *row[after:]] for row, cell in zip(rows, cells, strict=True)])
        if _fits(wide, width):
            return [wide], notes.lines()
    lines = _align(rows)
    if not _fits(lines, width):
        lines = _align(rows, gap=1)
    return ([lines] if _fits(lines, width) else _cut(rows, width)), notes.lines()


def _rows_with_stand_ins(figures: Figures, view: View) -> list[str]:
    """The rows that the view names. After a row without samples stands the figure that can take its place."""
    rows: list[str] = []
    for name in view.rows:
        rows.append(name)
        other = LATENCIES[name].stand_in
        if other and other not in view.rows and figures.latency[name].n == 0 and figures.latency[other].n:
            rows.append(other)
    return rows


def _cut(rows: list[list[str]], width: int) -> list[list[str]]:
    """Split the columns into as many tables as they need, each with the names of the rows."""
    names = [["ms"], *([row[0]] for row in rows[1:])]
    tables: list[list[str]] = []
    columns: list[int] = []
    for column in range(2, len(rows[0])):
        longer = [*columns, column]
        if columns and not _fits(_columns(names, rows, longer), width):
            tables.append(_columns(names, rows, columns))
            longer = [column]
        columns = longer
    return [*tables, _columns(names, rows, columns)]


def _columns(names: list[list[str]], rows: list[list[str]], columns: list[int]) -> list[str]:
    return _align(
        [[*name, *(row[column] for column in columns)] for name, row in zip(names, rows, strict=True)], gap=1, labels=1
    )


def _fits(lines: list[str], width: int) -> bool:
    return max(map(len, lines)) <= width


def _row(name: str, figure: Distribution, view: View, notes: Footnotes) -> list[str]:
    cells = [LATENCIES[name].label, LATENCIES[name].unit]
    if figure.n == 0:
        mark = notes.reason(figure.reason or "no samples")
        return cells + [_NOT_AVAILABLE + mark] * (len(view.percentiles) + 2)
    cells.append(_figure(figure.mean))
    for percent in view.percentiles:
        found = figure.percentiles[percent_key(percent)]
        if found.value is None:
            cells.append(_NOT_AVAILABLE + notes.unsupported(name, figure.n, percent))
        else:
            cells.append(_figure(found.value))
    cells.append(_figure(figure.max))
    return cells


def _client_error(figure: Distribution, view: View) -> str:
    """How far off the percentiles shown may be because of the bench itself; empty if unknown."""
    shown = [figure.percentiles[percent_key(percent)] for percent in view.percentiles]
    known = [found.client_error for found in shown if found.client_error is not None]
    return f"≤ {math.ceil(max(known) * 100) / 100:.2f}" if known else ""


def _round_up(value: float) -> int:
    """Round up to two significant digits, as a user would type it."""
    step = int(10 ** max(0, math.floor(math.log10(max(value, 1))) - 1))
    return math.ceil(value / step) * step


def _interval(found: Percentile) -> str:
    if found.value is None or found.low is None or found.high is None:
        return ""
    return f"[{_figure(found.low)}, {_figure(found.high)}]"


def _figure(value: float | None) -> str:
    """Milliseconds with one decimal, or three for small values."""
    if value is None:
        return _NOT_AVAILABLE
    return f"{value:.3f}" if 0 < abs(value) < 0.1 else f"{value:,.1f}"


def _align(rows: list[list[str]], gap: int = 2, labels: int = 2) -> list[str]:
    """Align columns by their widest cell; numbers are right-aligned, with footnote marks after them."""
    widths = [max(len(_bare(row[column])) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            pad = width - len(_bare(cell))
            mark = cell[len(_bare(cell)) :]
            cells.append(_bare(cell) + " " * pad if column < labels else " " * pad + _bare(cell) + mark.ljust(1))
        lines.append((" " * gap).join(cells).rstrip())
    return lines


def _bare(cell: str) -> str:
    """A cell without its footnote marks."""
    return cell.rstrip(_MARKS)
