"""A run that was stopped before any answer had ended: it reports what was measured by then, and no more."""

from __future__ import annotations

import click
import pytest

from bench.outcome import Outcome
from bench.records.result import Result
from bench.records.run import Run
from bench.report.console import render
from bench.report.markdown import render_markdown
from tests.unit.bench.rows import Row, row
from tests.unit.bench.runs import run
from tests.unit.bench.test_summary import check, result_of


def under_way(*, tokens: int | None = 1, streams: int = 8) -> list[Row]:
    """Streams that began together, each with a first token after 100 ms and then one every 20 ms, up to 500 ms."""
    arrivals = [100.0 + 20 * n for n in range(20)]
    return [row(n, 1, arrivals, sched=0, end=500, outcome=Outcome.CANCELLED, tokens=tokens) for n in range(streams)]


def stopped(**fields: object) -> Run:
    return run(streams=8, stopped=500, interrupted=True, **fields)


def test_answers_in_progress_are_measured() -> None:
    result = result_of(stopped(), *under_way())
    headline = result.headline
    assert headline.latency["ttft"].mean == 99
    assert headline.latency["ttfv"].mean == 99
    assert headline.latency["itl"].mean == headline.latency["icl"].mean == 20
    assert headline.output_tokens_per_s == pytest.approx(8 * 20 / 0.5)
    assert headline.input_tokens_per_s == pytest.approx(8 * 10 / 0.5)
    assert headline.requests == 8
    assert (result.counts.ok, result.counts.cancelled) == (0, 8)


def test_figures_that_need_an_end_are_missing_with_a_reason() -> None:
    headline = result_of(stopped(), *under_way()).headline
    for name in ("e2e", "tpot", "max_gap"):
        figure = headline.latency[name]
        assert (figure.n, figure.mean) == (0, None)
        assert figure.reason == "no answer had ended when the run was stopped"
    assert headline.requests_per_s is None
    assert headline.rates_reason == "no answer had ended when the run was stopped"
    assert headline.speed_per_user.n == 0


def test_the_verdict_states_what_the_figures_cover() -> None:
    result = result_of(stopped(), *under_way())
    assert result.verdict.level == "degraded"
    assert [reason.code for reason in result.verdict.reasons] == ["no_answer_ended"]
    assert check(result, "lateness").status == "pass"
    assert not any("favours short ones" in note for note in result.notes)


def test_without_usage_the_tokens_so_far_are_chunks() -> None:
    headline = result_of(stopped(), *under_way(tokens=None)).headline
    assert headline.token_rate == "chunks/s"
    assert headline.latency["itl"].n == 0
    assert headline.latency["icl"].mean == 20


def test_the_figures_cover_the_one_answer_that_ended() -> None:
    ended = row(20, 1, [200, 300], sched=0)
    result = result_of(stopped(), *under_way(), ended)
    assert result.headline.latency["ttft"].mean == 199
    assert "no_answer_ended" not in {reason.code for reason in result.verdict.reasons}


def test_failures_are_counted_beside_answers_in_progress() -> None:
    failed = row(20, 1, [], sched=0, outcome=Outcome.HTTP_5XX, tokens=None, error="HTTP 500")
    result = result_of(stopped(), *under_way(), failed)
    assert (result.counts.failed, result.counts.cancelled) == (1, 8)
    assert result.headline.latency["ttft"].n == 8
    assert result.headline.requests_per_s == 0  # one ended, and it was no success


def test_a_run_in_which_nothing_had_arrived() -> None:
    silent = [row(n, 1, [], sched=0, end=500, outcome=Outcome.CANCELLED, tokens=None) for n in range(8)]
    result = result_of(stopped(), *silent)
    assert not result.headline.has_samples
    assert result.headline.output_tokens_per_s is None
    assert result.verdict.level == "untrustworthy"
    found = check(result, "no_request_succeeded")
    assert (found.text, found.remedy) == (
        "no answer to 8 requests had begun when the run was stopped",
        "let it run longer",
    )


def console(result: Result) -> str:
    return click.unstyle(render(result, run().view, None))


def test_the_console_shows_it() -> None:
    text = console(result_of(stopped(), *under_way()))
    assert " ".join(text.splitlines()[3].split()) == (
        "✔ 0 ok ✘ 0 failed 8 cancelled n/a req/s 320 out tok/s 160 in tok/s"
    )
    (row_of_ttft,) = (line for line in text.splitlines() if line.startswith("  TTFT"))
    assert row_of_ttft.split()[:4] == ["TTFT", "ms", "99.0", "99.0"]
    assert "from 8 answers in progress when the run was stopped after 500 ms" in text
    assert "DEGRADED    no answer had ended when the run was stopped" in text
    assert "0.0 req/s" not in text


def test_markdown_shows_it_too() -> None:
    text = render_markdown(result_of(stopped(), *under_way()), run().view)
    assert "| req/s | n/a |" in text
    assert "| TTFT | 99.0 |" in text
