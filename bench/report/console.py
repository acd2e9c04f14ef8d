"""The report for a terminal, or for a file that is easy to grep: only commands exceed 120 characters per line."""

from __future__ import annotations

import shlex
from pathlib import Path

from click import style, unstyle

from bench.figures.catalogue import LATENCIES
from bench.records.result import Check, FailureClass, Result
from bench.records.run import View
from bench.records.run_folder import RESULT
from bench.report.layout import Layout
from bench.report.material import Material
from bench.report.table import latency_table
from bench.units import format_count, format_rate, format_span, plural

WIDTH = 118
_INDENT = "  "
_NARROW, _NARROWEST = 72, 20
_ANSWERED = (
    "http_4xx",
    "http_429",
    "http_5xx",
    "stream_error",
    "protocol",
)  # by a server at the address of the endpoint
_LEVEL_COLOURS = {"trusted": "green", "degraded": "yellow", "untrustworthy": "red"}


def show(material: Material) -> str:
    """The text for `--format console`."""
    folder = material.folder
    return render(
        material.shown,
        material.run.view,
        folder,
        width=material.width,
        program=material.program,
        has_file=folder is not None and (folder / RESULT).exists(),
    )


def render(
    result: Result,
    view: View,
    folder: Path | None,
    *,
    width: int | None = None,
    program: str = "python -m bench",
    has_file: bool = True,
) -> str:
    """The whole report, with ANSI styles (`click.echo` drops them where they are not wanted).

    With the `width` of a terminal, no line is wider than that. Without it, only commands are wider than `WIDTH`.
    `program` is the command that starts the bench, `folder` is the folder of the run, and `has_file` is whether the
    folder contains the result.
    """
    return _Report(result, view, folder, width, program, has_file).text()


class _Report:
    """The parts of one report, each a block of lines, in the order in which they appear."""

    def __init__(
        self, result: Result, view: View, folder: Path | None, width: int | None, program: str, has_file: bool
    ) -> None:
        self._result, self._view, self._folder, self._program = result, view, folder, program
        self._terminal, self._has_file = width, has_file
        self._width = WIDTH if width is None else max(_NARROWEST, min(width, WIDTH))
        self._layout = Layout(self._width, _INDENT)

    def text(self) -> str:
        parts = [self._header(), "\n".join(filter(None, (self._outcome(), self._goodput()))), self._failures()]
        if self._result.headline.has_samples:
            came_to_its_end = not self._result.interrupted and self._result.gave_up is None
            load = self._result.load if came_to_its_end else None
            tables, footnotes = latency_table(self._result.headline, self._view, load, self._width - len(_INDENT))
            parts += [*map(_styled_table, tables), self._sample(), self._verdict(), self._notes(footnotes)]
        else:
            parts += [self._verdict(), self._notes([])]
        parts.append(self._ways_on())
        return "\n\n".join(part for part in parts if part) + "\n"

    def _header(self) -> str:
        """What was measured, in two or three lines."""
        target, load = self._result.target, self._result.load
        where = f"(embedded, profile {target.profile})" if target.embedded else ""
        if target.address_source:
            where = f"(address from {target.address_source})"
        how_long = [] if load.duration_s is None else [f"{load.duration_s:g} s"]
        how_long += [] if load.requests is None else [plural(load.requests, "request")]
        place = target.url.removeprefix("http://").removesuffix("/v1")
        first = [
            style(self._result.tool, bold=True),
            " ".join(filter(None, (f"{style(target.model, bold=True)} on {place}", where))),
            load.shape,
            " or ".join(how_long),
            f"seed {load.seed}",
        ]
        tokens = plural(load.output_len, "token")
        usage = "usage with every event" if self._result.negotiated.continuous_usage else "usage at the end"
        second = [
            target.kind,
            load.prompts,
            "each made unique" if load.cache == "bust" else "unchanged",
            f"{tokens} out" if load.fixed_length else f"at most {tokens} out",
            usage if self._result.negotiated.usage else "no usage",
            f"key from {target.key_source}" if target.key_source else "",
            f"with {', '.join(target.headers)}" if target.headers else "",
            f"options from {self._result.config.file}" if self._result.config else "",
        ]
        lines = [self._layout.fitted(first, " · "), style(self._layout.listed(second), dim=True)]
        if behaviour := _manners(self._result):
            lines.append(style(self._layout.listed(["server", *behaviour]), dim=True))
        return "\n".join(lines)

    def _outcome(self) -> str:
        counts, figures = self._result.counts, self._result.headline
        ok = style(f"✔ {format_count(counts.ok)} ok", fg="green" if counts.ok else None, bold=True)
        failed = f"✘ {format_count(counts.failed)} failed"
        outcomes = [ok, style(failed, fg="red", bold=True) if counts.failed else style(failed, dim=True)]
        if counts.cancelled:
            outcomes.append(f"{format_count(counts.cancelled)} cancelled")
        left = _INDENT + "   ".join(outcomes)
        if not figures.has_samples:
            return left
        unit = figures.token_rate
        rates = (
            (figures.requests_per_s, "req/s"),
            (figures.output_tokens_per_s, f"out {unit}"),
            (figures.input_tokens_per_s, "in tok/s"),
            (figures.speed_per_user.percentiles["50"].value or figures.speed_per_user.mean, f"{unit} per user"),
        )
        shown = [f"{style(format_rate(value), bold=True)} {name}" for value, name in rates if value is not None]
        if figures.requests_per_s is None:
            shown.insert(0, "n/a req/s")
        line = left + " " * 8 + "     ".join(shown)
        fits = len(unstyle(line)) <= self._width
        return line if fits else left + "\n" + _INDENT + self._layout.fitted(shown, "   ")

    def _goodput(self) -> str:
        found = self._result.headline.goodput
        if found is None:
            return ""
        limits = ", ".join(f"{LATENCIES[name].label} ≤ {limit:g} ms" for name, limit in found.slos.items())
        share = "none were due" if found.share is None else f"{found.share:.1%} of {format_count(found.due)} due"
        words = f"{style(format_rate(found.requests_per_s), bold=True)} req/s: {share} met {limits}".split(" ")
        return _INDENT + self._layout.fitted(["goodput", *words], " ")

    def _failures(self) -> str:
        classes = self._result.counts.failures
        if not classes:
            return ""
        width = max(len(found.outcome) for found in classes)
        digits = max(len(format_count(found.count)) for found in classes)
        lines = [self._failure(found, width, digits) for found in classes]
        return "\n".join(filter(None, [*lines, self._counting_failures()]))

    def _failure(self, found: FailureClass, width: int, digits: int) -> str:
        several = len(found.statuses) > 1
        facts = [", ".join(f"{count}× {status}" if several else status for status, count in found.statuses.items())]
        if found.retry_after_s is not None:
            facts.append(f"Retry-After {found.retry_after_s:g} s")
        if found.median_partial is not None:
            partial = plural(round(found.median_partial), found.partial_unit.removesuffix("s"))
            facts.append(f"after {partial} (median)")
        count = style(f"{format_count(found.count):>{digits}}", bold=True)
        name = f"{style('✘', fg='red')} {count} {found.outcome:<{width}}"
        line = _INDENT + self._layout.fitted([f"{name} ", *_joined(facts).split(" ")], " ").rstrip()
        where = f" (POST {self._result.target.endpoint_url})" if found.outcome in _ANSWERED else ""
        first = f"first: request {found.first_request}, {found.first_s:+.1f} s: {found.first_error}{where}"
        told = [first, f"try:   {found.remedy}"] if found.remedy else [first]
        return "\n".join([line, *(self._layout.wrapped(text, _INDENT * 3, hanging=" " * 7) for text in told)])

    def _counting_failures(self) -> str:
        """The latencies if each failure counts as an answer that never arrived."""
        if not self._result.counts.ok:
            return ""
        parts = []
        for name, percentiles in self._result.headline.latency_with_failures.items():
            told = {p: _or_never(percentiles[p].value, percentiles[p].reason) for p in ("50", "99")}
            parts.append(f"{LATENCIES[name].label} p50 {told['50']} p99 {told['99']}")
        text = f"counting failures as never answered, in ms: {_joined(parts)}"
        return style(self._layout.wrapped(text, _INDENT), dim=True) if parts else ""

    def _sample(self) -> str:
        """Which requests the table covers, and the rates of the whole run in addition to those of the steady window."""
        figures, whole = self._result.headline, self._result.whole_run
        window, requests = figures.window, plural(figures.requests, "request")
        if not self._result.counts.ok:
            answers = plural(figures.requests, "answer")
            text = f"from {answers} in progress when the run was stopped after {format_span(window.length_s)}"
        elif window == whole.window:
            text = f"from {requests} of the whole run of {format_span(window.length_s)}, start and end included"
        else:
            text = (
                f"from {requests} sent in the steady window, "
                f"{_seconds(window.begin_s)}–{_seconds(window.end_s)} s; "
                f"whole run of {format_span(self._result.elapsed_s)}: "
                f"{format_rate(whole.requests_per_s or 0)} req/s, "
                f"{format_rate(whole.output_tokens_per_s or 0)} out {whole.token_rate}"
            )
        return style(self._layout.wrapped(text, _INDENT), dim=True)

    def _verdict(self) -> str:
        verdict, checks, counts = self._result.verdict, self._result.checks, self._result.counts
        name = verdict.level if verdict.level == "trusted" else verdict.level.upper()
        is_narrow = self._width < _NARROW
        hanging = _INDENT * 2 if is_narrow else _INDENT + " " * (len(name) + 4)
        lines = [self._layout.wrapped(_complaint(check), hanging) for check in checks if check.status == "fail"]
        good = [check.text for check in checks if check.status != "fail"]
        if counts.ok:
            opened = counts.connections_opened_in_window
            good.append(f"{plural(opened, 'connection')} opened in the window")
        if counts.reopened:
            good.append(f"{format_count(counts.reopened)} reopened: the server had closed them")
        if good:
            lines.append(self._layout.listed(good, hanging))
        label = style(name, fg=_LEVEL_COLOURS[verdict.level], bold=True)
        told = "\n".join(lines)
        return f"{_INDENT}{label}\n{told}" if is_narrow else f"{_INDENT}{label}    {told[len(hanging) :]}"

    def _notes(self, footnotes: list[str]) -> str:
        lines = (*footnotes, *(f"· {note}" for note in self._result.notes))
        return "\n".join(style(self._layout.wrapped(line, _INDENT, hanging=_INDENT), dim=True) for line in lines)

    def _ways_on(self) -> str:
        commands = {"again": self._result.again}
        if self._folder is not None:
            kept, where = ("result", self._folder / "result.json") if self._has_file else ("records", self._folder)
            report = f"{self._program} report {shlex.quote(str(self._folder))}"
            commands = {kept: shlex.quote(str(where)), "report": report, **commands}
        return "\n".join(
            self._layout.command(style(label, dim=True), command, columns=self._terminal)
            for label, command in commands.items()
        )


def _styled_table(lines: list[str]) -> str:
    head, *rows = lines
    return "\n".join([style(_INDENT + head, dim=True), *(_INDENT + row for row in rows)])


def _manners(result: Result) -> list[str]:
    """How the server dealt with what it was asked for."""
    found, told = result.negotiated, []
    if found.keeps_length is not None:
        told.append("answers as long as asked" if found.keeps_length else "does not keep the length asked for")
    if found.keeps_connections is not None:
        told.append("keeps connections" if found.keeps_connections else "closes the connection after each answer")
    if found.refused:
        told.append(f"refuses {', '.join(found.refused)}")
    return told


def _complaint(check: Check) -> str:
    limit = ""
    if check.limit is not None and check.unit == "ms":
        limit = f" (limit {check.limit:.3g} ms)"
    elif check.limit is not None and check.unit == "share":
        limit = f" (limit {check.limit:.0%})"
    return f"{check.text}{limit}: {check.remedy}"


def _or_never(value: float | None, reason: str | None) -> str:
    if value is not None:
        return f"{value:,.1f}"
    return "∞" if reason is not None and reason.startswith("infinite") else "n/a"


def _seconds(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2f}"


def _joined(parts: list[str]) -> str:
    return " · ".join(part for part in parts if part)
