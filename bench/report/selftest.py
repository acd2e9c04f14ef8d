"""The self-test for a terminal: a line a trial, errors in milliseconds, then the certificate."""

from __future__ import annotations

from pathlib import Path

from click import style

from bench.run import Certificate
from bench.selftest import SelfTest, Trial
from bench.truth.comparison import Deviation
from bench.units import format_count

_COLUMNS = (("TTFT", ("ttft",)), ("ITL", ("itl", "icl")), ("E2E", ("e2e",)))
_ABOUT = 46
_CELL = 7


def heading(title: str, about: str) -> str:
    """What stands above the lines of some trials."""
    names = "".join(f"{f'{label} p50':>{_CELL + 1}}{'p99':>{_CELL}}" for label, _ in _COLUMNS)
    return f"\n  {style(title, bold=True)} · {about}\n\n  {'':{_ABOUT}}{style(names, dim=True)}"


def trial_line(trial: Trial) -> str:
    """One trial: its errors, reported minus true, and whether the counts are exact."""
    found = {(d.figure, d.percent): d for d in trial.comparison.deviations}
    cells = []
    for _, figures in _COLUMNS:
        for percent, width in (("50", _CELL + 1), ("99", _CELL)):
            known = next((found[f, percent] for f in figures if (f, percent) in found), None)
            if known is None:
                cells.append(f"{'–':>{width}}")
            else:
                decimals = 3 if abs(known.error) < 10 else 1
                cells.append(style(f"{known.error:>+{width}.{decimals}f}", fg=_colour(known)))
    name = trial.about if trial.name.isdecimal() else f"{trial.name}: {trial.about}"
    return f"  {name:{_ABOUT}}{''.join(cells)}   {_counts(trial)}"


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
            "ended otherwise": comparison.unlike,
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
    doubted = trial.name.isdecimal() and trial.verdict.level != "trusted"  # what ends the growing of the load
    return f"{mark} {ended}" + (style(f" · {trial.verdict.level}", dim=True) if doubted else "")


def closing(test: SelfTest, kept: Path | None) -> str:
    """The verdict, and the certificate with where it is kept."""
    lines = []
    if test.shapes:
        word = style("passed", fg="green", bold=True) if test.holds else style("FAILED", fg="red", bold=True)
        exact = sum(trial.comparison.is_exact for trial in test.shapes)
        within = sum(trial.comparison.holds and not trial.blamed for trial in test.shapes)
        admitted = sum(trial.is_true for trial in test.shapes) - within
        lines.append(
            f"{word}       {within} of {len(test.shapes)} shapes within 0.5 ms (p50), 2 ms (p99), gaps within 0.3 ms; "
            f"counts exact in {exact}"
        )
        if admitted:
            lines.append(f"             {admitted} more within the error that their reports admit")
    if test.certificate is not None:
        lines.append(describe(test.certificate))
    elif test.loads:
        lines.append("no certificate: the smallest load was not measured well; stop what else runs, and try again")
    if kept is not None:
        lines.append(f"kept as      {kept}")
    return "\n  " + "\n  ".join(lines)


def describe(certificate: Certificate) -> str:
    """A certificate in words."""
    return (
        f"certificate  up to {certificate.streams:,} streams, {certificate.tokens_per_s:,.0f} tok/s: "
        f"TTFT within {certificate.ttft_error_ms:.2f} ms, gaps within {certificate.itl_error_ms:.2f} ms (p50, p99)\n"
        f"               {certificate.machine}"
    )
