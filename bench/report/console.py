"""The report for a terminal, or for a file that greps well: no line over 120 characters but the command."""

from __future__ import annotations

import textwrap
from pathlib import Path

from click import style

from bench.report.table import LABELS, latency_table
from bench.result import Check, FailureClass, Result
from bench.run import View
from bench.units import format_count, format_rate

WIDTH = 118
_INDENT = "  "
_BOUND = "\N{NO-BREAK SPACE}"
_LEVEL_COLOURS = {"trusted": "green", "degraded": "yellow", "untrustworthy": "red"}


def render(result: Result, view: View, folder: Path | None) -> str:
    """The whole report, with ANSI styles (`click.echo` drops them where they are not wanted)."""
    parts = [header(result), _outcome(result), *_failures(result)]
    if result.counts.ok:
        came_to_its_end = not result.interrupted and result.gave_up is None
        table, footnotes = latency_table(result.headline, view, result.load if came_to_its_end else None)
        parts += [_styled_table(table), _sample(result), _verdict(result), _notes(footnotes, result.notes)]
    else:
        parts += [_verdict(result), _notes([], result.notes)]
    parts.append(_ways_on(result, folder))
    return "\n\n".join(part for part in parts if part) + "\n"


def header(result: Result) -> str:
    """What was measured, in two lines."""
    target, load = result.target, result.load
    where = f"(embedded, profile {target.profile})" if target.embedded else ""
    if target.address_source:
        where = f"(address from {target.address_source})"
    how_long = [] if load.duration_s is None else [f"{load.duration_s:g} s"]
    how_long += [] if load.requests is None else [f"{format_count(load.requests)} requests"]
    place = target.url.removeprefix("http://").removesuffix("/v1")
    first = [
        style(result.tool, bold=True),
        " ".join(filter(None, (f"{style(target.model, bold=True)} on {place}", where))),
        f"{load.streams} stream{'s' * (load.streams != 1)}",
        " or ".join(how_long),
        f"seed {load.seed}",
    ]
    usage = "usage with every event" if result.negotiated.continuous_usage else "usage at the end"
    second = [
        target.kind,
        load.prompts,
        "each begun anew" if load.cache == "bust" else "as they are",
        f"{load.output_len} tokens out" if load.fixed_length else f"at most {load.output_len} tokens out",
        usage if result.negotiated.usage else "no usage",
        f"key from {target.key_source}" if target.key_source else "",
    ]
    return _joined(first) + "\n" + style(_listed(second, _INDENT), dim=True)


def _outcome(result: Result) -> str:
    counts, figures = result.counts, result.headline
    ok = style(f"✔ {format_count(counts.ok)} ok", fg="green" if counts.ok else None, bold=True)
    failed = f"✘ {format_count(counts.failed)} failed"
    parts = [ok, style(failed, fg="red", bold=True) if counts.failed else style(failed, dim=True)]
    if counts.cancelled:
        parts.append(f"{format_count(counts.cancelled)} cancelled")
    rates: list[tuple[float | None, str]] = []
    if counts.ok:
        unit = "chunks/s" if figures.tokens_are == "chunks" else "tok/s"
        speed = figures.speed_per_user.percentiles["50"].value or figures.speed_per_user.mean
        rates = [
            (figures.requests_per_s, "req/s"),
            (figures.output_tokens_per_s, f"out {unit}"),
            (figures.input_tokens_per_s, "in tok/s"),
            (speed, f"{unit} per user"),
        ]
    shown = [f"{style(format_rate(value), bold=True)} {unit}" for value, unit in rates if value is not None]
    return _INDENT + "   ".join(parts) + " " * 8 + "     ".join(shown)


def _failures(result: Result) -> list[str]:
    classes = result.counts.failures
    if not classes:
        return []
    width = max(len(found.outcome) for found in classes)
    digits = max(len(format_count(found.count)) for found in classes)
    return ["\n".join(_failure(found, width, digits) for found in classes) + _with_failures(result)]


def _failure(found: FailureClass, width: int, digits: int) -> str:
    facts = [
        ", ".join(
            f"{count}× {status}" if len(found.statuses) > 1 else status for status, count in found.statuses.items()
        )
    ]
    if found.retry_after_s is not None:
        facts.append(f"Retry-After {found.retry_after_s:g} s")
    if found.median_partial is not None:
        facts.append(f"after {found.median_partial:,.0f} {found.partial_unit} (median)")
    count = style(f"{format_count(found.count):>{digits}}", bold=True)
    line = f"{_INDENT}{style('✘', fg='red')} {count} {found.outcome:<{width}}  {_joined(facts)}".rstrip()
    first = f"first: request {found.first_request}, {found.first_s:+.1f} s: {found.first_error}"
    return line + "\n" + _wrap(first, _INDENT * 3)


def _with_failures(result: Result) -> str:
    """What the latencies are when a failure counts as an answer that never came."""
    if not result.counts.ok:
        return ""
    parts = []
    for name, percentiles in result.headline.latency_with_failures.items():
        shown = [
            f"p{p} {_or_never(percentiles[p].value, percentiles[p].reason)}" for p in ("50", "99") if p in percentiles
        ]
        parts.append(f"{LABELS[name]} {' '.join(shown)}")
    return (
        "\n" + style(f"{_INDENT}counting failures as never answered, in ms: {_joined(parts)}", dim=True)
        if parts
        else ""
    )


def _or_never(value: float | None, reason: str | None) -> str:
    if value is not None:
        return f"{value:,.1f}"
    return "∞" if reason is not None and reason.startswith("infinite") else "n/a"


def _styled_table(lines: list[str]) -> str:
    head, *rows = lines
    return "\n".join([style(_INDENT + head, dim=True), *(_INDENT + row for row in rows)])


def _sample(result: Result) -> str:
    """Which requests the table is about, and the whole run beside the steady window."""
    figures, whole = result.headline, result.whole_run
    window = figures.window
    if window.begin_s == whole.window.begin_s and window.end_s == whole.window.end_s:
        length = f"{window.length_s:.1f} s, start and end included"
        text = f"from {format_count(figures.requests)} requests of the whole run of {length}"
    else:
        text = (
            f"from {format_count(figures.requests)} requests sent in the steady window, "
            f"{_seconds(window.begin_s)}–{_seconds(window.end_s)} s; whole run of {result.elapsed_s:.1f} s: "
            f"{format_rate(whole.requests_per_s or 0)} req/s, {format_rate(whole.output_tokens_per_s or 0)} out tok/s"
        )
    return style(_wrap(text, _INDENT), dim=True)


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2f}"


def _verdict(result: Result) -> str:
    verdict = result.verdict
    name = verdict.level if verdict.level == "trusted" else verdict.level.upper()
    label = style(name, fg=_LEVEL_COLOURS[verdict.level], bold=True)
    hanging = _INDENT + " " * (len(name) + 4)
    bad = [check for check in result.checks if check.status == "fail"]
    lines = [_wrap(_complaint(check), hanging) for check in bad]
    good = [check.text for check in result.checks if check.status != "fail"]
    if result.counts.ok:
        opened = result.counts.connections_opened_in_window
        good.append(f"{result.load.streams} streams, {opened} connection{'s' * (opened != 1)} opened in the window")
    if good:
        lines.append(_listed(good, hanging))
    text = "\n".join(lines)
    return f"{_INDENT}{label}    {text[len(hanging) :]}"


def _complaint(check: Check) -> str:
    limit = ""
    if check.limit is not None and check.unit == "ms":
        limit = f" (limit {check.limit:g} ms)"
    elif check.limit is not None and check.unit == "share":
        limit = f" (limit {check.limit:.0%})"
    return f"{check.text}{limit}: {check.remedy}"


def _notes(footnotes: list[str], notes: list[str]) -> str:
    lines = (*footnotes, *(f"· {note}" for note in notes))
    return "\n".join(style(_wrap(line, _INDENT, hanging="  "), dim=True) for line in lines)


def _ways_on(result: Result, folder: Path | None) -> str:
    lines = []
    if folder is not None:
        lines.append(f"{style('result', dim=True)}   {folder / 'result.json'}")
        lines.append(f"{style('report', dim=True)}   python -m bench report {folder}")
    lines.append(f"{style('again', dim=True)}    {result.again}")
    return "\n".join(_INDENT + line for line in lines)


def _joined(parts: list[str]) -> str:
    return " · ".join(part for part in parts if part)


def _listed(parts: list[str], indent: str) -> str:
    """Parts on as many lines as they take, broken between them where that can be."""
    bound = [part.replace(" ", _BOUND) if len(part) < WIDTH / 2 else part for part in parts]
    return _wrap(_joined(bound), indent).replace(_BOUND, " ")


def _wrap(text: str, indent: str, hanging: str = "") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
