"""The report of a comparison: for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

from click import style, unstyle

from bench.compare.comparison import Change, Comparison, Side
from bench.report.console import WIDTH
from bench.report.layout import Layout
from bench.report.markdown import cell, table
from bench.shown_text import shown, shown_struct
from bench.units import format_figure, plural

_INDENT = "  "
_LABEL = 9
_COLOURS = {"better": "green", "worse": "red"}
_MINUS = "\N{MINUS SIGN}"
_METHOD = (
    "each change has its 95 % interval, from runs that vary (Welch) and from blocks of time that are resampled within "
    "each run; the conclusions hold for all figures together at an error rate of 5 % (Holm)"
)


def render(comparison: Comparison, width: int | None = None) -> str:
    """The comparison with ANSI styles, in lines of at most `width` characters (118 without a terminal)."""
    comparison = shown_struct(comparison)
    layout = Layout(WIDTH if width is None else width, _INDENT)
    lines = [
        _labelled("before", _about(comparison.before), layout),
        _labelled("after", _about(comparison.after), layout),
        _labelled("load", comparison.load, layout),
        "",
        *_rows(comparison, layout),
        "",
        *(_labelled("gate", text, layout) for text in _gates(comparison)),
        *(_labelled("note", note, layout) for note in comparison.notes),
        _labelled("method", _METHOD, layout, dim=True),
    ]
    return "\n".join(lines)


def render_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    rows = [
        [
            cell(f"{change.label}, {change.unit}"),
            _figure(change.before),
            _figure(change.after),
            _percent(change.change),
            _interval(change),
            cell(_conclusion(change)),
        ]
        for change in comparison.changes
    ]
    parts = [
        f"**before**: {cell(_about(comparison.before))}  \n**after**: {cell(_about(comparison.after))}",
        table(["", "before", "after", "change", "95 % interval", ""], rows),
        "\n".join(f"- {cell(text)}" for text in [*map(unstyle, _gates(comparison)), *comparison.notes]),
        cell(_METHOD),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(side: Side) -> str:
    where = side.runs[0] if len(side.runs) == 1 else f"{plural(len(side.runs), 'run')}, {side.runs[0]} …"
    return f"{where} · {side.model} on {side.url} · {side.started[0]}"


def _labelled(label: str, text: str, layout: Layout, *, dim: bool = False) -> str:
    hanging = " " * _LABEL
    filled = layout.wrapped(text, _INDENT + hanging).lstrip()
    return f"{_INDENT}{style(f'{label:{_LABEL}}', dim=True)}{style(filled, dim=True) if dim else filled}"


def _rows(comparison: Comparison, layout: Layout) -> list[str]:
    """The table. Where it is too wide, each conclusion stands below its figures."""
    cells = [
        [f"{c.label:<9} {c.unit}", _figure(c.before), _figure(c.after), _percent(c.change), _interval(c)]
        for c in comparison.changes
    ]
    head = ["", "before", "after", "change", "[95 % interval]"]
    widths = [max(len(row[column]) for row in [head, *cells]) for column in range(len(head))]
    lines = [_INDENT + style(_aligned(head, widths), dim=True)]
    for change, row in zip(comparison.changes, cells, strict=True):
        figures, conclusion = _aligned(row, widths), _conclusion(change)
        styled = style(conclusion, fg=_COLOURS.get(change.conclusion), bold=change.conclusion in _COLOURS)
        if len(_INDENT) + len(figures) + 3 + len(conclusion) <= layout.width:
            lines.append(f"{_INDENT}{figures}   {styled}")
        else:
            lines += [_INDENT + figures, layout.wrapped(conclusion, _INDENT * 3)]
    return lines


def _aligned(row: list[str], widths: list[int]) -> str:
    first, *figures = row
    return "   ".join(
        [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(figures, widths[1:], strict=True))]
    )


def _figure(value: float | None) -> str:
    return "n/a" if value is None else format_figure(value)


def _percent(share: float | None) -> str:
    if share is None:
        return "n/a"
    return f"{_signed(share)} %"


def _signed(share: float) -> str:
    percent = f"{abs(share) * 100:.1f}"
    return f"{'+' if share > 0 else _MINUS}{percent}" if float(percent) else percent


def _interval(change: Change) -> str:
    if change.low is None or change.high is None:
        return "n/a"
    return f"[{_signed(change.low)}, {_signed(change.high)}]"


def _conclusion(change: Change) -> str:
    if change.smallest is None or change.low is None or change.high is None:
        return f"not compared: {shown(change.reason or '')}"
    if change.conclusion in ("no difference shown", "inconclusive"):
        is_clear_alone = change.low > 0 or change.high < 0
        seen = f"could have seen ≥ {change.smallest * 100:.{0 if change.smallest >= 0.1 else 1}f} %"
        return f"{change.conclusion} ({seen}{'; too many figures for this one' if is_clear_alone else ''})"
    return change.conclusion


def _gates(comparison: Comparison) -> list[str]:
    texts = []
    for gate in comparison.gates:
        word = style("FAILED", fg="red", bold=True) if gate.failed else style("passed", fg="green", bold=True)
        texts.append(
            f"{gate.gate}: {word}" + (f", because it could not be judged: {gate.reason}" if gate.reason else "")
        )
    return texts
