"""The report as Markdown, for a pull request or an issue."""

from __future__ import annotations

import re

from bench.figures.catalogue import LATENCIES
from bench.records.result import Distribution, Percentile, Result, percent_key
from bench.records.run import View
from bench.report.material import Material
from bench.shown_text import shown
from bench.units import format_count, format_rate, plural

# ASCII punctuation that may be markup anywhere in a line; all of it can be escaped (CommonMark §2.4).
_MARKS = re.compile(r"[\\`*_<>|\[\]#!~&]|(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
_MENTION = re.compile(r"(?<!\w)@(?=\w)")  # hosts notify users who are mentioned, escaped or not
_TICKS = re.compile("`+")
_MOST_COMMAND = 10_000


def show(material: Material) -> str:
    """The text for `--format markdown`."""
    return render_markdown(material.shown, material.run.view)


def render_markdown(result: Result, view: View) -> str:
    """Title, outcome, latencies, verdict and checks."""
    parts = [_title(result), _rates(result)]
    if result.headline.has_samples:
        parts.append(_latencies(result, view))
    parts += [_failures(result), _verdict(result), _notes(result), _code(result.again)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(result: Result) -> str:
    target, load = result.target, result.load
    lengths = [] if load.duration_s is None else [f"{load.duration_s:g} s"]
    lengths += [] if load.requests is None else [plural(load.requests, "request")]
    facts = [
        load.shape,
        " or ".join(lengths),
        load.prompts,
        f"{'' if load.fixed_length else 'at most '}{plural(load.output_len, 'token')} out",
        f"seed {load.seed}",
    ]
    return f"**{cell(target.model)}** on {cell(target.url)}: {cell(', '.join(filter(None, facts)))}"


def _rates(result: Result) -> str:
    counts, figures = result.counts, result.headline
    rows = [
        ("ok", format_count(counts.ok)),
        ("failed", format_count(counts.failed)),
        ("req/s", _rate(figures.requests_per_s)),
        (f"out {figures.token_rate}", _rate(figures.output_tokens_per_s)),
        ("in tok/s", _rate(figures.input_tokens_per_s)),
        ("mean concurrency", _rate(figures.mean_concurrency)),
    ]
    if counts.reopened:
        rows.append(("connections reopened", format_count(counts.reopened)))
    if figures.goodput is not None:
        limits = ", ".join(f"{LATENCIES[name].label} ≤ {limit:g} ms" for name, limit in figures.goodput.slos.items())
        share = "" if figures.goodput.share is None else f" ({figures.goodput.share:.1%})"
        rows.append((f"goodput: {limits}", f"{_rate(figures.goodput.requests_per_s)} req/s{share}"))
    return table(["", ""], [list(row) for row in rows])


def _latencies(result: Result, view: View) -> str:
    header = ["ms", "mean", *(f"p{percent_key(p)}" for p in view.percentiles), "max", "client"]
    rows = [[LATENCIES[name].label, *_figures(result.headline.latency[name], view)] for name in view.rows]
    window = result.headline.window
    return table(header, rows) + (
        f"\n\n{plural(result.headline.requests, 'request')} sent within {window.length_s:.1f} s; "
        "p99 with its 95 % interval; client: the largest error that the bench itself may have added."
    )


def _figures(found: Distribution, view: View) -> list[str]:
    percentiles = [found.percentiles[percent_key(percent)] for percent in view.percentiles]
    errors = [percentile.client_error for percentile in percentiles if percentile.client_error is not None]
    return [
        _ms(found.mean),
        *map(_percentile, percentiles, view.percentiles),
        _ms(found.max),
        f"≤ {max(errors):.2f}" if errors else "n/a",
    ]


def _percentile(found: Percentile, percent: float) -> str:
    if percent != 99 or found.low is None or found.high is None:
        return _ms(found.value)
    return f"{_ms(found.value)} [{_ms(found.low)}, {_ms(found.high)}]"


def _failures(result: Result) -> str:
    rows = [
        [f.outcome, format_count(f.count), cell(f.first_error), cell(f.remedy) or "–"] for f in result.counts.failures
    ]
    return table([f"failed at {cell(result.target.endpoint_url)}", "", "first", "try"], rows) if rows else ""


def _verdict(result: Result) -> str:
    good = [check.text for check in result.checks if check.status != "fail"]
    lines = [f"**{result.verdict.level}**: {cell(' · '.join(good))}" if good else f"**{result.verdict.level}**"]
    lines += [f"- {cell(check.text)}: {cell(check.remedy)}" for check in result.checks if check.status == "fail"]
    return "\n".join(lines)


def _notes(result: Result) -> str:
    return "\n".join(f"- {cell(note)}" for note in result.notes)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table whose first column holds words and whose others hold figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rate(value: float | None) -> str:
    return "n/a" if value is None else format_rate(value)


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.1f}" if abs(value) >= 1 else f"{value:.3f}"


def cell(text: str) -> str:
    """Text that cannot end a cell or begin markup, a link, an entity or a mention."""
    text = _MARKS.sub(r"\\\g<0>", " ".join(shown(text).split()))
    return _MENTION.sub("@ ", text)


def _code(text: str) -> str:
    """Text as code, between more backticks than it contains in a row."""
    longest = max(map(len, _TICKS.findall(text)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{shown(text, _MOST_COMMAND)}{room}{fence}"
