"""A whole result computed from records: windows, counts, checks, verdict."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from msgspec.structs import replace

from bench.figures.sample import EXACT_LIMIT
from bench.outcome import Outcome
from bench.records.health import Health
from bench.records.moments import KIND_SHIFT, REQUEST_SHIFT, Kind
from bench.records.result import Check, Result
from bench.records.run import Certificate, Run, ServerCounters
from bench.summary import summarize
from tests.unit.bench.rows import Row, columns, moments, ms, row
from tests.unit.bench.runs import CALM, KERNEL, READ, health, lags, run


def result_of(facts: Run, *rows: Row) -> Result:
    return summarize(facts, columns(*rows), moments(*rows))


def back_to_back(requests: int, length: float = 100, pause: float = 0.0) -> list[Row]:
    """One stream: a request of four tokens takes `length`; the next is planned immediately and sent after `pause`."""
    rows = []
    for n in range(requests):
        sched = n * (length + pause)
        send = sched + pause
        events = [send + length * share for share in (0.4, 0.6, 0.8, 1.0)]
        rows.append(row(n, send, events, sched=sched))
    return rows


def check(result: Result, code: str) -> Check:
    return next(check for check in result.checks if check.code == code)


def test_a_calm_run_is_trusted_and_every_check_has_a_text() -> None:
    result = result_of(run(), *back_to_back(10))
    assert result.verdict.level == "trusted"
    assert result.verdict.reasons == []
    assert {c.code: c.status for c in result.checks} == {
        "tokens_match_usage": "pass",
        "littles_law": "pass",
        "lateness": "pass",
        "concurrency": "pass",
        "client_error": "pass",
        "read_lag": "pass",
        "loop_lag": "pass",
        "client_pause": "pass",
        "client_cpu": "pass",
        "retransmits": "pass",
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


def test_the_headline_leaves_out_the_drain_and_the_whole_run_includes_it() -> None:
    result = result_of(run(stopped=950), *back_to_back(10))
    assert result.headline.window.end_s == 0.95
    assert result.headline.requests_per_s == pytest.approx(9 / 0.95)
    assert result.whole_run.window.end_s == pytest.approx(1.0)
    assert result.whole_run.requests_per_s == pytest.approx(10)  # the last end belongs to the run


def test_tokens_that_differ_from_the_usage_are_found() -> None:
    rows = back_to_back(9)
    rows.append(row(9, 900, [950, 1000], completion_tokens=3))
    result = result_of(run(), *rows)
    found = check(result, "tokens_match_usage")
    assert (found.status, found.value) == ("fail", 1)
    assert "in 1 of 10 requests, the usage with each event adds up to a different number of tokens" in found.text
    assert "38 and 39 in total" in found.text
    assert found.remedy.startswith("the server contradicts itself")
    assert result.verdict.level == "degraded"
    assert [reason.code for reason in result.verdict.reasons] == ["tokens_match_usage"]


def test_without_usage_the_tokens_are_not_claimed_to_be_checked() -> None:
    rows = [row(n, n * 100, [n * 100 + 50, n * 100 + 100], tokens=None) for n in range(10)]
    result = result_of(run(), *rows)
    assert check(result, "tokens_match_usage").status == "n/a"
    assert any("their chunks are counted" in note for note in result.notes)


def test_time_outside_all_latencies_breaks_littles_law() -> None:
    result = result_of(run(stopped=1050), *back_to_back(10, pause=5))
    found = check(result, "littles_law")
    assert found.status == "fail"
    assert found.value == pytest.approx(5 / 105, rel=0.1)
    assert result.verdict.level == "degraded"


def test_littles_law_needs_five_waves() -> None:
    assert check(result_of(run(stopped=400), *back_to_back(4)), "littles_law").status == "n/a"


@pytest.mark.parametrize(("requests", "status"), [(1, "n/a"), (4, "n/a"), (6, "fail")])
def test_littles_law_needs_five_requests_where_fewer_than_one_is_open(requests: int, status: str) -> None:
    rows = [row(n, n * 1000 + 5, [n * 1000 + 6, n * 1000 + 7], sched=n * 1000) for n in range(requests)]
    facts = run(stopped=requests * 1000, load=OPEN | {"rate": 1.0})
    assert check(result_of(facts, *rows), "littles_law").status == status


def test_late_sends_lower_the_verdict() -> None:
    result = result_of(run(stopped=1080), *back_to_back(10, pause=8))
    assert check(result, "lateness").status == "fail"
    assert "8.0 ms late" in check(result, "lateness").text


@pytest.mark.parametrize(
    ("client", "code", "level"),
    [
        (health(*[3.0] * 1000, wire=READ), "loop_lag", "degraded"),
        (health(*[30.0] * 1000, wire=READ), "loop_lag", "untrustworthy"),
        (health(*[0.1] * 2000, 200.0), "client_pause", "degraded"),
        (health(*[0.1] * 2000, 600.0), "client_pause", "untrustworthy"),
        (health(cpu_s=9.5), "client_cpu", "degraded"),
        (health(wire=replace(KERNEL, clock_steps_ms=[-3.0])), "clock_step", "degraded"),
        (health(wire=replace(KERNEL, retransmits=3)), "retransmits", "degraded"),
        (health(wire=replace(KERNEL, clock_error_ms=1.2)), "client_error", "degraded"),
        (None, "not_watched", "degraded"),
    ],
)
def test_a_client_that_did_not_keep_up_lowers_the_verdict(client: Health | None, code: str, level: str) -> None:
    result = result_of(run(health=client), *back_to_back(10))
    assert check(result, code).status == "fail"
    assert result.verdict.level == level
    assert result.verdict.reasons[0].code == code
    assert result.verdict.reasons[0].remedy


def test_late_reads_alone_do_not_lower_the_verdict_with_kernel_timestamps() -> None:
    late = health(*[30.0] * 1000, wire=replace(KERNEL, read_lag=lags(*[30.0] * 100)))
    result = result_of(run(health=late), *back_to_back(10))
    assert result.verdict.level == "trusted"
    assert result.client.read_lag_p99_ms == pytest.approx(30, abs=0.05)
    assert "read 30.0 ms after arrival at p99" in check(result, "read_lag").text


def test_merged_reads_bound_the_error_and_the_verdict_names_the_figure() -> None:
    rows = [row(n, n, [n + 40, n + 50, n + 60], doubts=[0, 8.0, 0]) for n in range(400)]
    result = result_of(run(stopped=400), *rows)
    found = check(result, "client_error")
    assert (found.status, found.limit) == ("fail", 1.0)
    assert "ICL p50 may be off by 8.0 ms" in found.text
    assert result.headline.latency["icl"].percentiles["50"].client_error == pytest.approx(8, abs=0.02)
    assert result.headline.latency["ttft"].percentiles["50"].client_error == 0.001


def test_without_kernel_timestamps_there_is_no_bound() -> None:
    result = result_of(run(health=health(wire=READ)), *back_to_back(10))
    assert result.headline.latency["ttft"].percentiles["50"].client_error is None
    assert "client_error" not in {c.code for c in result.checks}


def test_other_processes_are_named_if_they_are_the_cause() -> None:
    busy = health(*[3.0] * 1000, wire=READ, cpu_wait_s=2.0)
    remedy = check(result_of(run(health=busy), *back_to_back(10)), "loop_lag").remedy
    assert "other processes used the core for 20% of the time" in remedy


def test_a_pause_of_the_server_does_not_lower_the_verdict() -> None:
    rows = back_to_back(9)
    rows.append(row(9, 900, [1200, 1210, 1220, 1230]))
    result = result_of(run(stopped=1200), *rows)
    assert result.verdict.level == "trusted"
    assert result.headline.latency["ttft"].max == 300


def test_too_few_requests_for_a_steady_window() -> None:
    result = result_of(run(streams=4), *back_to_back(3))
    assert result.checks[0].code == "steady_window"
    assert result.verdict.level == "degraded"
    assert result.headline.window == result.whole_run.window
    assert "--duration 5s is enough" in result.checks[0].remedy


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
            row(20 + n, 500 + n, [], outcome=outcome, status=status, error=said, retry_after_s=1.0, tokens=None)
        )
    for n in range(2):
        events = [600 + n, 610 + n, 620 + n]
        rows.append(row(30 + n, 590, events, outcome=Outcome.TRUNCATED, error="cut", completion_tokens=3))
    result = result_of(run(), *rows)
    counts = result.counts
    assert (counts.sent, counts.ok, counts.failed, counts.failed_tokens, counts.output_tokens) == (15, 10, 5, 6, 40)
    http, truncated = counts.failures
    assert (http.outcome, http.count, http.statuses, http.retry_after_s) == ("http_5xx", 3, {"503": 2, "500": 1}, 1.0)
    assert (http.first_request, http.first_s, http.first_error) == (20, 0.5, "HTTP 503: full")
    assert http.median_partial is None
    assert (truncated.outcome, truncated.median_partial, truncated.partial_unit) == ("truncated", 3.0, "tokens")
    assert result.verdict.level == "trusted"  # the server failed, not the measurement


def test_when_nothing_succeeded_there_is_nothing_to_trust() -> None:
    refused = [row(n, n, [], outcome=Outcome.CONNECT, error="refused", send_ns=None) for n in range(10)]
    result = result_of(run(), *refused)
    assert result.verdict.level == "untrustworthy"
    assert [reason.code for reason in result.verdict.reasons] == ["no_request_succeeded"]
    assert result.headline.latency["ttft"].mean is None


def test_a_run_that_sent_nothing() -> None:
    result = result_of(run())
    assert result.counts.sent == 0
    assert result.headline.requests_per_s is None
    assert result.headline.window.reason == "nothing was sent"
    assert result.verdict.level == "untrustworthy"


def test_a_killed_run_is_read_from_its_records() -> None:
    killed = run(health=None, begun_ns=None, stopped_ns=None, ended_ns=None)
    result = result_of(killed, *back_to_back(10))
    assert result.headline.window.end_s == pytest.approx(0.9)  # the last planned start
    assert result.counts.ok == 10


def test_an_interrupted_run_states_what_it_lacks() -> None:
    rows = [*back_to_back(9), row(9, 900, [940], outcome=Outcome.CANCELLED, end=950)]
    result = result_of(run(stopped=950, interrupted=True), *rows)
    assert (result.counts.ok, result.counts.cancelled, result.counts.failed) == (9, 1, 0)
    assert any(note.startswith("interrupted") for note in result.notes)


def test_a_calm_client_fails_no_check() -> None:
    client = result_of(run(health=CALM), *back_to_back(10)).client
    assert client.loop_lag_p99_ms == pytest.approx(0.1, abs=0.02)
    assert client.stamps == "kernel"


OPEN = {"plan": "open", "streams": None, "rate": 100.0, "arrivals": "poisson"}


def at_moments(*sends: float, late: float = 0.0) -> list[Row]:
    return [row(n, send + late, [send + late + 5, send + late + 9], sched=send) for n, send in enumerate(sends)]


def poisson(n: int, mean: float = 10.0) -> list[float]:
    draw = Random(5)
    moments, at = [], 0.0
    for _ in range(n):
        moments.append(at)
        at += draw.expovariate(1 / mean)
    return moments


def test_an_open_loop_is_held_to_its_rate_and_its_distribution() -> None:
    sends = poisson(300)
    result = result_of(run(load=OPEN, stopped=sends[-1] + 10), *at_moments(*sends))
    assert result.verdict.level == "trusted"
    assert {c.code for c in result.checks} >= {"rate", "arrivals", "lateness"}
    assert "concurrency" not in {c.code for c in result.checks}
    assert result.headline.window.end_s == pytest.approx((sends[-1] + 10) / 1000)
    assert check(result, "rate").text.endswith("planned req/s sent")


def test_a_limit_that_keeps_requests_waiting_is_not_blamed_on_the_machine() -> None:
    rows = [row(n, n * 50 + 0.5, [n * 50 + 10, n * 50 + 49.5], sched=n * 10) for n in range(40)]
    limited = result_of(run(load=OPEN | {"streams": 1}, stopped=2000), *rows)
    assert "raise --max-concurrency" in (check(limited, "lateness").remedy or "")  # of records that do not tell why
    free = result_of(run(load=OPEN, stopped=2000), *rows)
    assert "this machine sends late" in (check(free, "lateness").remedy or "")


def test_sends_in_bunches_differ_from_the_requested_arrivals() -> None:
    bunched = [float(n // 4 * 40) for n in range(300)]
    found = check(result_of(run(load=OPEN, stopped=3000), *at_moments(*bunched)), "arrivals")
    assert found.status == "fail"
    assert found.value is not None
    assert found.value > 0.3


def test_a_constant_rate_is_held_to_its_gaps() -> None:
    constant = OPEN | {"arrivals": "constant"}
    even = [n * 10.0 for n in range(100)]
    assert check(result_of(run(load=constant), *at_moments(*even)), "arrivals").status == "pass"
    uneven = [n * 10.0 + (3.0 if n % 2 else 0.0) for n in range(100)]
    found = check(result_of(run(load=constant), *at_moments(*uneven)), "arrivals")
    assert (found.status, found.value) == ("fail", pytest.approx(3.0))


def test_planned_requests_that_were_never_sent_lower_the_rate() -> None:
    rows = at_moments(*(n * 10.0 for n in range(100)))
    rows += [
        row(200 + n, 5.0, [], sched=5.0, outcome=Outcome.CONNECT, error="no", send_ns=None, tokens=None)
        for n in range(2)
    ]
    found = check(result_of(run(load=OPEN), *rows), "rate")
    assert (found.status, found.value) == ("fail", pytest.approx(100 / 102))


@pytest.mark.parametrize(
    ("server", "status", "words"),
    [
        (ServerCounters(requests=10, prompt_tokens=100, generation_tokens=40), "pass", "server counted the same"),
        (ServerCounters(requests=12, prompt_tokens=100, generation_tokens=48), "fail", "12 requests where 10 arrived"),
        (ServerCounters(requests=10), "pass", "server counted the same requests"),
        (ServerCounters(problem="it has no /metrics"), "n/a", "it has no /metrics"),
        (ServerCounters(), "n/a", "this tool knows none of them"),
    ],
)
def test_the_servers_own_counters(server: ServerCounters, status: str, words: str) -> None:
    found = check(result_of(run(server=server), *back_to_back(10)), "server_counters")
    assert found.status == status
    assert words in found.text


def test_the_servers_counters_are_not_compared_if_requests_failed() -> None:
    rows = [*back_to_back(9), row(9, 900, [], outcome=Outcome.HTTP_5XX, error="no", tokens=None)]
    found = check(result_of(run(server=ServerCounters(requests=10)), *rows), "server_counters")
    assert found.status == "n/a"
    assert found.text == "server's own counters not compared: requests failed or were given up"


def test_goodput_is_missing_with_a_note_if_tpot_is_unknown() -> None:
    facts = run()
    facts.view.goodput = {"tpot": 50.0}
    rows = [row(number, number * 100, [number * 100 + 50, number * 100 + 90], tokens=None) for number in range(10)]
    found = result_of(facts, *rows)
    assert found.headline.goodput is None
    assert "goodput is n/a: without the server's usage, TPOT is unknown" in found.notes


def test_token_events_with_an_empty_text_have_a_note() -> None:
    rows = [row(0, 0, [40, 60, 80], kinds=[Kind.EMPTY, Kind.VISIBLE, Kind.EMPTY], empty=2), *back_to_back(10)[1:]]
    assert "2 token events had empty text (special tokens)" in result_of(run(), *rows).notes


def test_a_load_too_short_to_measure_the_lag_of_the_loop_fails_no_check() -> None:
    client = replace(health(wire=READ), loop_lag=lags())
    found = check(result_of(run(health=client), *back_to_back(10)), "loop_lag")
    assert (found.status, found.text) == ("n/a", "loop lag unknown: the load was too short")


def test_percentiles_of_more_values_than_memory_holds_have_a_note() -> None:
    """One request with more gaps than are kept whole, each of 1 µs."""
    events = EXACT_LIMIT + 2
    one = row(0, 0, [1, 1 + events / 1000], tokens=1, events=events, completion_tokens=events)
    low = Kind.VISIBLE << KIND_SHIFT | 1
    rows = np.empty((events, 2), dtype=np.int64)
    rows[:, 0] = ms(1) + 1000 * np.arange(events)
    rows[:, 1] = 0 << REQUEST_SHIFT | low
    facts = run(stopped=3000)
    result = summarize(facts, columns(one), lambda: [rows.tobytes()])
    assert result.whole_run.latency["icl"].n == events - 1
    assert not result.whole_run.latency["icl"].exact
    (note,) = [note for note in result.notes if "three significant digits" in note]
    assert note.startswith("percentiles of icl, itl come from a histogram")


def test_a_load_above_the_certificate_has_a_note() -> None:
    paper = Certificate(tokens_per_s=30, streams=1, ttft_error_ms=0.1, itl_error_ms=0.1, issued="x", machine="m")
    result = result_of(run(certificate=paper), *back_to_back(10))
    assert (
        "the load exceeds this machine's certificate, which covers 30 tok/s in 1 streams (bench selftest)"
        in result.notes
    )
    assert result.verdict.level == "trusted"
    assert result_of(run(certificate=replace(paper, tokens_per_s=50)), *back_to_back(10)).notes == []
