"""The report of the self-test for a terminal: one line per trial, errors in milliseconds, then the certificate."""

from __future__ import annotations

from pathlib import Path

from click import style, unstyle

from bench.figures.catalogue import LATENCIES
from bench.records.run import Certificate
from bench.report.console import WIDTH
from bench.report.layout import Layout
from bench.truth.comparison import Deviation
from bench.truth.selftest import SelfTest, Trial
from bench.units import format_count, plural

_COLUMNS = tuple(LATENCIES[name] for name in ("ttft", "itl", "e2e"))
_ABOUT = 48
_CELL = 7
_INDENT = "  "
_LABEL = 11
_NO_CERTIFICATE = "no certificate: the smallest load was not measured accurately; stop other programs and try again"
_TABLE = 126  # the width of a line with the most outcomes


class SelfTestReport:
    """Shows the results on a terminal of `width` columns, or in a file if that is None."""

    def __init__(self, width: int | None) -> None:
        self._is_narrow = width is not None and width < _TABLE
        self._layout = Layout(WIDTH if width is None else width, _INDENT)

    def heading(self, title: str, about: str) -> str:
        """The heading of a group of trials."""
        words = self._layout.fitted([style(title, bold=True), "·", *about.split(" ")], " ")
        if self._is_narrow:
            return f"\n{_INDENT}{words}, p50/p99\n"
        names = "".join(f"{f'{figure.label} p50':>{_CELL + 1}}{'p99':>{_CELL}}" for figure in _COLUMNS)
        return f"\n{_INDENT}{words}\n\n{_INDENT}{'':{_ABOUT}}{style(names, dim=True)}"

    def trial_line(self, trial: Trial) -> str:
        """The line of one trial: its errors (reported minus true), and whether the counts are exact."""
        name = trial.about if trial.name.isdecimal() else f"{trial.name}: {trial.about}"
        errors = _errors(trial)
        if not self._is_narrow:
            cells = "".join(
                " " * (width - len(unstyle(cell))) + cell
                for pair in errors.values()
                for cell, width in zip(pair, (_CELL + 1, _CELL), strict=True)
            )
            return f"{_INDENT}{name:{_ABOUT}}{cells}   {_counts(trial)}"
        parts = [f"{label} {'/'.join(pair)}" for label, pair in errors.items()] + [_counts(trial)]
        below = Layout(self._layout.width, _INDENT * 2).fitted(parts, "   ")
        return f"{self._layout.wrapped(name)}\n{_INDENT * 2}{below}"

    def closing(self, test: SelfTest, kept: Path | None) -> str:
        """The verdict, the certificate, and where the certificate is kept."""
        lines: list[tuple[str, str]] = []
        if test.shapes:
            word = style("passed", fg="green", bold=True) if test.holds else style("FAILED", fg="red", bold=True)
            exact = sum(trial.comparison.is_exact for trial in test.shapes)
            within = sum(trial.comparison.holds and not trial.blamed for trial in test.shapes)
            admitted = sum(trial.is_true for trial in test.shapes) - within
            shapes = plural(len(test.shapes), "shape")
            lines.append((word, f"{within} of {shapes} {_limits()}; counts exact in {exact}"))
            if admitted:
                lines.append(("", f"{admitted} more within the error that their reports state"))
        if test.certificate is not None:
            lines += _certificate(test.certificate)
        elif test.loads:
            lines.append(("", _NO_CERTIFICATE))
        if kept is not None:
            lines.append(("kept as", str(kept)))
        return "\n" + "\n".join(self._labelled(label, text) for label, text in lines)

    def _labelled(self, label: str, text: str) -> str:
        """A text after its label."""
        room = " " * _LABEL
        filled = self._layout.wrapped(text, _INDENT + room + _INDENT)
        return f"{_INDENT}{label}{room[len(unstyle(label)) :]}{_INDENT}{filled.lstrip()}"


def _errors(trial: Trial) -> dict[str, list[str]]:
    """The errors at p50 and p99, by the label of the figure."""
    found = {(d.figure, d.percent): d for d in trial.comparison.deviations}
    cells: dict[str, list[str]] = {}
    for figure in _COLUMNS:
        for percent in ("50", "99"):
            known = found.get((figure.name, percent)) or found.get((figure.stand_in or "", percent))
            text = "–"
            if known is not None:
                text = style(f"{known.error:+.{3 if abs(known.error) < 10 else 1}f}", fg=_colour(known))
            cells.setdefault(figure.label, []).append(text)
    return cells


def _limits() -> str:
    """How far the figures of a shape may be off."""
    p50, p99 = LATENCIES["ttft"].truth_limits_ms or (0.0, 0.0)
    return f"within {p50:g} ms (p50), {p99:g} ms (p99), gaps within {max(LATENCIES['icl'].truth_limits_ms or ()):g} ms"


def _colour(deviation: Deviation) -> str | None:
    if deviation.holds:
        return None
    return "yellow" if deviation.is_admitted else "red"


def _counts(trial: Trial) -> str:
    comparison = trial.comparison
    ended = ", ".join(f"{format_count(count)} {outcome}" for outcome, count in comparison.outcomes.items())
    if comparison.is_exact:
        mark = style("✔", fg="green")
    else:
        wrong = {
            "with another outcome": comparison.unlike,
            "miscounted": comparison.miscounted,
            "not known to the server": comparison.unknown,
            "of the first burst": comparison.starters,
        }
        told = [f"{format_count(count)} {what}" for what, count in wrong.items() if count]
        ended += ": " + ", ".join([*told, *(f"{name} unfounded" for name in comparison.unfounded)])
        mark = style("✘", fg="red", bold=True)
    if trial.blamed:
        ended += f": blames {', '.join(trial.blamed)}"
        mark = style("✘", fg="red", bold=True)
    doubted = trial.name.isdecimal() and trial.verdict.level != "trusted"  # this trial ends the growth of the load
    return f"{mark} {ended}" + (style(f" · {trial.verdict.level}", dim=True) if doubted else "")


def _certificate(certificate: Certificate) -> list[tuple[str, str]]:
    """A certificate in words."""
    errors = f"TTFT within {certificate.ttft_error_ms:.2f} ms, gaps within {certificate.itl_error_ms:.2f} ms (p50, p99)"
    load = f"up to {plural(certificate.streams, 'stream')}, {certificate.tokens_per_s:,.0f} tok/s"
    return [("certificate", f"{load}: {errors}"), ("", certificate.machine)]
