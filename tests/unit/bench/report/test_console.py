"""The report: its parts, their order, and lines that a reader of a log can grep."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from bench.outcome import Outcome
from bench.records.run import ConfigFacts, Negotiated, Run, TargetFacts
from bench.report.console import render
from tests.unit.bench.rows import Row, row
from tests.unit.bench.runs import READ, health, run
from tests.unit.bench.test_summary import back_to_back, result_of


def report(*rows: Row, of: Run | None = None, folder: str | None = "runs/r") -> str:
    facts = of or run()
    result = result_of(facts, *rows)
    return click.unstyle(render(result, facts.view, folder and Path(folder)))


def line(text: str, beginning: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(beginning))


def test_the_order_of_the_parts() -> None:
    text = report(*back_to_back(10))
    parts = [
        "streamgauge 0.0",
        "✔ 10 ok",
        "mean",
        "TTFT",
        "ITL",
        "TPOT",
        "E2E",
        "from 10 requests",
        "trusted",
        "\n  ¹ ",
        "result",
    ]
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)


def test_the_header_states_what_was_measured() -> None:
    text = report(*back_to_back(10))
    assert text.splitlines()[0] == "streamgauge 0.0 · m on h:1 · 1 stream · 1 s · seed 7"
    assert (
        text.splitlines()[1].strip() == "chat · 4 prompts · each made unique · 128 tokens out · usage with every event"
    )


def test_the_header_names_an_embedded_server_and_values_from_the_environment() -> None:
    embedded = TargetFacts(url="http://h:1/v1", endpoint="/v1/c", kind="chat", model="m", embedded=True, profile="demo")
    assert "m on h:1 (embedded, profile demo)" in report(*back_to_back(10), of=run(target=embedded))
    named = TargetFacts(
        url="https://h/v1",
        endpoint="/v1/c",
        kind="completions",
        model="m",
        address_source="OPENAI_BASE_URL",
        key_source="OPENAI_API_KEY",
        headers=["X-A", "X-B"],
    )
    plain = Negotiated(usage=False, continuous_usage=False, fixed_length=False)
    config = ConfigFacts(file="b.yaml", options={"strict": True})
    facts = run(target=named, negotiated=plain, load={"fixed_length": False}, config=config)
    text = report(*back_to_back(10), of=facts)
    assert "m on https://h (address from OPENAI_BASE_URL)" in text
    assert "at most 128 tokens out · no usage · key from OPENAI_API_KEY · with X-A, X-B · options from b.yaml" in (
        " ".join(text.split())
    )


def test_rates_and_rows() -> None:
    text = report(*back_to_back(10))
    assert " ".join(line(text, "✔").split()) == (
        "✔ 10 ok ✘ 0 failed 9.00 req/s 39.0 out tok/s 100 in tok/s 50.0 tok/s per user"
    )
    assert " ".join(line(text, "TTFT").split()) == "TTFT ms 40.0 40.0 n/a¹ n/a¹ n/a¹ n/a¹ 40.0 ≤ 0.01"


def test_what_the_sample_cannot_support_has_a_footnote_with_the_remedy() -> None:
    text = report(*back_to_back(10))
    assert (
        "¹ 10 requests cannot support p90 (needs 29: --duration 3s), p95 (needs 59: --duration 7s), "
        "p99 (needs 299: --duration 31s), p99.9 (needs 2,995: --duration 6m)" in " ".join(text.split())
    )
    counted = report(*back_to_back(10), of=run(load={"requests": 10, "duration_s": None}))
    assert "p90 (needs 29: --num-requests 30)" in " ".join(counted.split())
    assert "p99.9 (needs 2,995: --num-requests 3100)" in " ".join(counted.split())


def test_p99_has_its_interval() -> None:
    rows = [row(n, n, [n + 40 + n / 10, n + 60 + n / 10]) for n in range(400)]
    text = report(*rows, of=run(stopped=400))
    assert "[95 % interval]" in text
    assert "[79.1, 79.9]" in line(text, "TTFT")


def test_the_requested_rows_and_columns() -> None:
    facts = run()
    facts.view.rows, facts.view.percentiles = ("e2e", "max_gap"), (50.0,)
    text = report(*back_to_back(10), of=facts)
    assert line(text, "mean").split() == ["mean", "p50", "max", "client"]
    assert line(text, "max gap").split() == ["max", "gap", "ms", "20.0", "20.0", "20.0", "≤", "0.01"]
    assert "TTFT  ms" not in text


def test_unknown_tokens_per_event_show_icl_and_the_reason() -> None:
    rows = [row(n, n * 100, [n * 100 + 50, n * 100 + 100], tokens=None, completion_tokens=7) for n in range(10)]
    text = report(*rows)
    assert set(line(text, "ITL").split()[2:]) == {"n/a²"}
    assert line(text, "ICL").split()[2] == "50.0"
    chunks = [row(n, n * 100, [n * 100 + 50], tokens=None) for n in range(10)]
    assert " out tok/s" not in report(*chunks)
    assert "² tokens per event unknown in 10 of 10 requests; see ICL" in text


def test_failures_have_a_line_per_class_with_the_whole_first_example() -> None:
    rows = back_to_back(10)
    rows += [
        row(20 + n, 500 + n, [], outcome=Outcome.HTTP_5XX, status=503, error="HTTP 503: full", retry_after_s=1.0)
        for n in range(29)
    ]
    cut = {"outcome": Outcome.TRUNCATED, "tokens": None, "error": "stream ended without a finish reason or [DONE]"}
    rows += [row(60 + n, 600, [640.0] * 41, **cut) for n in range(8)]
    text = report(*rows)
    assert " ".join(line(text, "✘ 29").split()) == "✘ 29 http_5xx 503 · Retry-After 1 s"
    assert " ".join(line(text, "✘  8").split()) == "✘ 8 truncated after 41 chunks (median)"
    assert "first: request 20, +0.5 s: HTTP 503: full" in text
    assert "first: request 60, +0.6 s: stream ended without a finish reason or [DONE]" in text
    assert "counting failures as never answered, in ms: TTFT p50 ∞" in text


def test_a_client_at_its_limit_is_reported_first() -> None:
    slow = health(*[41.0] * 1000, cpu_s=9.9, wire=READ)
    text = report(*back_to_back(10), of=run(health=slow))
    verdict = line(text, "UNTRUSTWORTHY")
    assert "loop lag p99 41.0 ms (limit 2 ms)" in verdict
    assert "client 99% of a core (limit 90%): the bench itself is the limit" in text


def test_nothing_succeeded() -> None:
    refused = [row(n, n, [], outcome=Outcome.CONNECT, error="refused", send_ns=None) for n in range(10)]
    text = report(*refused)
    assert "✔ 0 ok   ✘ 10 failed" in text
    assert "none of 10 requests succeeded" in text
    assert "TTFT" not in text
    assert "req/s" not in text


def test_an_interrupted_run_counts_cancelled_requests() -> None:
    rows = [*back_to_back(9), row(9, 900, [940], outcome=Outcome.CANCELLED, end=950)]
    text = report(*rows, of=run(stopped=950, interrupted=True))
    assert "✔ 9 ok   ✘ 0 failed   1 cancelled" in text
    assert "--duration" not in text  # an interrupted run does not show how long the next should be


def test_the_report_does_not_name_results_that_were_not_kept() -> None:
    text = report(*back_to_back(10), folder=None)
    assert "result   " not in text
    assert line(text, "again") == "  again    python -m bench --seed 7"


def test_a_narrow_terminal_has_a_narrow_report_with_all_its_figures() -> None:
    rows = [row(n, n, [n + 400 + n / 10, n + 2600 + n / 10]) for n in range(400)]
    result = result_of(run(stopped=400), *rows)
    text = click.unstyle(render(result, run().view, Path("runs/r"), width=80))
    assert max(map(len, text.splitlines())) <= 80
    assert "interval" not in text
    assert len(line(text, "E2E").split()) == 11
    assert line(text, "✔").endswith("failed")


LONG = "python -m bench --base-url http://gateway:8000/v1 --model m --header 'X-Key=<hidden>' --concurrency 64 --seed 7"


@pytest.mark.parametrize("width", [120, 80, 72, 71, 60, 50, 40])
@pytest.mark.parametrize("rows", ["ttft,itl,tpot,e2e", "ttft_sched,max_gap"])
def test_nothing_is_wider_than_the_terminal_and_nothing_is_lost(width: int, rows: str) -> None:
    given = [row(n, n, [n + 400 + n / 10, n + 2600 + n / 10], tokens=[1, 1]) for n in range(400)]
    given.append(row(999, 5, [], outcome=Outcome.HTTP_5XX, status=503, error="HTTP 503: " + "x" * 150))
    slow = health(*[41.0] * 1000, cpu_s=9.9, wire=READ)
    facts = run(stopped=400, again=LONG, health=slow, load={"requests": 1}, notes=["http://" + "y" * 130])
    facts.view.rows, facts.view.goodput = tuple(rows.split(",")), {"ttft": 200.0, "tpot": 50.0, "e2e": 5000.0}
    result = result_of(facts, *given)
    text = click.unstyle(render(result, facts.view, Path("runs/2026-01-02-030405"), width=width))
    assert max(map(len, text.splitlines())) <= width
    shown = " ".join(text.split())
    for name in ("mean", "p50", "p90", "p95", "p99", "p99.9", "max"):
        assert f" {name} " in shown
    pasted = text.partition("again")[2].replace("\\\n", " ")
    assert shlex.split(pasted) == shlex.split(LONG)


def test_a_command_in_a_pipe_stays_on_one_line() -> None:
    text = report(*back_to_back(10), of=run(again=LONG * 2))
    assert line(text, "again").split(maxsplit=1)[1] == LONG * 2


def test_a_name_that_is_wider_than_the_terminal_is_broken() -> None:
    target = TargetFacts(url="http://h:1/v1", endpoint="/v1/c", kind="chat", model="/models/" + "m" * 90)
    text = click.unstyle(render(result_of(run(target=target), *back_to_back(10)), run().view, None, width=60))
    assert max(map(len, text.splitlines())) <= 60
    assert "m" * 90 in text.replace("\n", "").replace(" ", "")


def test_a_single_item_is_not_plural() -> None:
    one = run(stopped=100, load={"requests": 1, "duration_s": None, "output_len": 1, "prompts": "1 prompt"})
    text = report(*back_to_back(1), of=one)
    assert "1 stream · 1 request · seed 7" in text
    assert "· 1 token out" in text
    assert "from 1 request " in text
    assert "1 request cannot support" in text
    assert "1 requests" not in text
    assert "whole run of 100 ms" in text
    assert "4 tokens = usage in the only request" in text
    cut = report(*back_to_back(4), row(4, 400, [450], outcome=Outcome.TRUNCATED, tokens=None, end=460))
    assert "after 1 chunk (median)" in cut


def test_the_report_command_begins_like_the_command_that_started_the_bench() -> None:
    text = click.unstyle(
        render(result_of(run(), *back_to_back(9)), run().view, Path("runs/a b"), program="streamgauge bench")
    )
    assert line(text, "report") == "  report   streamgauge bench report 'runs/a b'"


@pytest.mark.parametrize("requests", [1, 10, 40])
def test_no_line_is_wider_than_a_log_allows(requests: int) -> None:
    slow = health(*[41.0] * 1000, cpu_s=9.9, cpu_wait_s=3, wire=READ)
    rows = back_to_back(requests)
    rows.append(row(99, 5, [], outcome=Outcome.PROTOCOL, error="word " * 100))
    text = report(*rows, of=run(health=slow, stopped=requests * 100))
    assert max(map(len, text.splitlines())) <= 120
