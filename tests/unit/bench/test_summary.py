"""From records to a whole result: windows, counts, checks, verdict."""

from __future__ import annotations

import pytest

from bench.health import Health
from bench.outcome import Outcome
from bench.record import Columns, Record
from bench.result import Check, Result
from bench.summary import summarize
from tests.unit.bench.rows import columns, record
from tests.unit.bench.runs import CALM, run


def back_to_back(requests: int, length: float = 100, pause: float = 0.0) -> list[Record]:
    """One stream: each request takes `length` and four tokens, the next is planned at once and sent after `pause`."""
    rows = []
    for n in range(requests):
        sched = n * (length + pause)
        send = sched + pause
        events = [send + length * share for share in (0.4, 0.6, 0.8, 1.0)]
        rows.append(record(n, send, events, sched=sched))
    return rows


def check(result: Result, code: str) -> Check:
    return next(check for check in result.checks if check.code == code)


def test_a_calm_run_is_trusted_and_every_check_says_why() -> None:
    result = summarize(run(), columns(*back_to_back(10)))
    assert result.verdict.level == "trusted"
    assert result.verdict.reasons == []
    assert {c.code: c.status for c in result.checks} == {
        "tokens_match_usage": "pass",
        "littles_law": "pass",
        "lateness": "pass",
        "concurrency": "pass",
        "loop_lag": "pass",
        "client_pause": "pass",
        "client_cpu": "pass",
    }
    assert result.headline.window.begin_s == 0
    assert result.headline.window.end_s == 1.0
    assert (result.counts.sent, result.counts.ok, result.counts.output_tokens, result.counts.input_tokens) == (
        10,
        10,
        40,
        100,
    )
    assert result.client.cpu_share == pytest.approx(0.1)


def test_the_headline_leaves_out_the_drain_and_the_whole_run_has_it() -> None:
    result = summarize(run(stopped=950), columns(*back_to_back(10)))
    assert result.headline.window.end_s == 0.95
    assert result.headline.requests_per_s == pytest.approx(9 / 0.95)
    assert result.whole_run.window.end_s == 1.0
    assert result.whole_run.requests_per_s == pytest.approx(9)  # the last one ends with the window, not in it


def test_tokens_that_differ_from_the_usage_are_found() -> None:
    rows = back_to_back(9)
    rows.append(record(9, 900, [950, 1000], completion_tokens=3))
    result = summarize(run(), columns(*rows))
    found = check(result, "tokens_match_usage")
    assert (found.status, found.value) == ("fail", 1)
    assert "1 of 10 requests brought 38 tokens in all where their usage says 39" in found.text
    assert result.verdict.level == "degraded"
    assert [reason.code for reason in result.verdict.reasons] == ["tokens_match_usage"]


def test_without_usage_the_tokens_are_not_claimed_to_be_checked() -> None:
    rows = [record(n, n * 100, [n * 100 + 50, n * 100 + 100], tokens=None) for n in range(10)]
    result = summarize(run(), columns(*rows))
    assert check(result, "tokens_match_usage").status == "n/a"
    assert any("their tokens are chunks" in note for note in result.notes)


def test_time_that_no_latency_shows_breaks_littles_law() -> None:
    result = summarize(run(stopped=1050), columns(*back_to_back(10, pause=5)))
    found = check(result, "littles_law")
    assert found.status == "fail"
    assert found.value == pytest.approx(5 / 105, rel=0.1)
    assert result.verdict.level == "degraded"


def test_littles_law_needs_five_waves() -> None:
    assert check(summarize(run(stopped=400), columns(*back_to_back(4))), "littles_law").status == "n/a"


def test_late_sends_lower_the_verdict() -> None:
    result = summarize(run(stopped=1080), columns(*back_to_back(10, pause=8)))
    assert check(result, "lateness").status == "fail"
    assert "8.0 ms late" in check(result, "lateness").text


@pytest.mark.parametrize(
    ("health", "code", "level"),
    [
        (Health(loop_lag_us=[3000] * 1000, cpu_s=1, wall_s=10), "loop_lag", "degraded"),
        (Health(loop_lag_us=[30000] * 1000, cpu_s=1, wall_s=10), "loop_lag", "untrustworthy"),
        (Health(loop_lag_us=[100] * 2000 + [200_000], cpu_s=1, wall_s=10), "client_pause", "degraded"),
        (Health(loop_lag_us=[100] * 1000, cpu_s=9.5, wall_s=10), "client_cpu", "degraded"),
        (None, "not_watched", "degraded"),
    ],
)
def test_a_client_that_did_not_keep_up_lowers_the_verdict(health: Health | None, code: str, level: str) -> None:
    result = summarize(run(health=health), columns(*back_to_back(10)))
    assert check(result, code).status == "fail"
    assert result.verdict.level == level
    assert result.verdict.reasons[0].code == code
    assert result.verdict.reasons[0].remedy


def test_other_processes_are_named_as_the_cause_where_they_are() -> None:
    busy = Health(loop_lag_us=[3000] * 1000, cpu_s=1, wall_s=10, cpu_wait_s=2.0)
    remedy = check(summarize(run(health=busy), columns(*back_to_back(10))), "loop_lag").remedy
    assert "other processes held the core for 20% of the time" in remedy


def test_a_pause_of_the_server_does_not() -> None:
    rows = back_to_back(9)
    rows.append(record(9, 900, [1200, 1210, 1220, 1230]))
    result = summarize(run(stopped=1200), columns(*rows))
    assert result.verdict.level == "trusted"
    assert result.headline.latency["ttft"].max == 300


def test_too_few_requests_for_a_steady_window() -> None:
    result = summarize(run(streams=4), columns(*back_to_back(3)))
    assert result.checks[0].code == "steady_window"
    assert result.verdict.level == "degraded"
    assert result.headline.window == result.whole_run.window
    assert "--duration 5s would do" in result.checks[0].remedy


def test_failures_are_counted_by_class_with_their_first_and_their_partial_tokens() -> None:
    rows = back_to_back(10)
    for n, (outcome, status, said) in enumerate(
        [
            (Outcome.HTTP_5XX, 503, "HTTP 503: full"),
            (Outcome.HTTP_5XX, 500, "HTTP 500: no"),
            (Outcome.HTTP_5XX, 503, "HTTP 503: late"),
        ]
    ):
        rows.append(
            record(20 + n, 500 + n, [], outcome=outcome, status=status, error=said, retry_after_s=1.0, tokens=None)
        )
    for n in range(2):
        events = [600 + n, 610 + n, 620 + n]
        rows.append(record(30 + n, 590, events, outcome=Outcome.TRUNCATED, error="cut", completion_tokens=3))
    result = summarize(run(), columns(*rows))
    counts = result.counts
    assert (counts.sent, counts.ok, counts.failed, counts.failed_tokens, counts.output_tokens) == (15, 10, 5, 6, 40)
    http, truncated = counts.failures
    assert (http.outcome, http.count, http.statuses, http.retry_after_s) == ("http_5xx", 3, {"503": 2, "500": 1}, 1.0)
    assert (http.first_request, http.first_s, http.first_error) == (20, 0.5, "HTTP 503: full")
    assert http.median_partial is None
    assert (truncated.outcome, truncated.median_partial, truncated.partial_unit) == ("truncated", 3.0, "tokens")
    assert result.verdict.level == "trusted"  # the server failed, not the measurement


def test_when_nothing_succeeded_there_is_nothing_to_trust() -> None:
    refused = [record(n, n, [], outcome=Outcome.CONNECT, error="refused", send_ns=None) for n in range(10)]
    result = summarize(run(), columns(*refused))
    assert result.verdict.level == "untrustworthy"
    assert [reason.code for reason in result.verdict.reasons] == ["no_request_succeeded"]
    assert result.headline.latency["ttft"].mean is None


def test_nothing_sent_at_all() -> None:
    result = summarize(run(), Columns())
    assert result.counts.sent == 0
    assert result.headline.requests_per_s is None
    assert result.headline.window.reason == "nothing was sent"
    assert result.verdict.level == "untrustworthy"


def test_a_killed_run_is_read_from_its_records() -> None:
    killed = run(health=None, begun_ns=None, stopped_ns=None, ended_ns=None)
    result = summarize(killed, columns(*back_to_back(10)))
    assert result.headline.window.end_s == pytest.approx(0.9)  # the last planned start
    assert result.counts.ok == 10


def test_an_interrupted_run_says_what_it_lacks() -> None:
    rows = [*back_to_back(9), record(9, 900, [940], outcome=Outcome.CANCELLED, end=950)]
    result = summarize(run(stopped=950, interrupted=True), columns(*rows))
    assert (result.counts.ok, result.counts.cancelled, result.counts.failed) == (9, 1, 0)
    assert any(note.startswith("interrupted") for note in result.notes)


def test_health_that_is_calm_is_calm() -> None:
    assert summarize(run(health=CALM), columns(*back_to_back(10))).client.loop_lag_p99_ms == pytest.approx(0.1)
