"""The verdict is about the measurement: the server's behaviour does not lower it, the bench's own faults are named."""

from __future__ import annotations

import click
import pytest

from bench.outcome import Outcome
from bench.report.console import render
from bench.report.markdown import render_markdown
from tests.unit.bench.rows import MS, Row, ms, row
from tests.unit.bench.runs import health, run
from tests.unit.bench.test_summary import OPEN, at_moments, back_to_back, check, poisson, result_of


def with_tail(tail: float, *, late_close: bool = False) -> list[Row]:
    """One stream: the server holds it open for a while after the last token, before the end or after it."""
    rows = []
    for n in range(10):
        at = n * (100 + tail)
        events = [at + 40, at + 60, at + 80, at + 100]
        if late_close:
            rows.append(row(n, at, events, sched=at, free_ns=ms(at + 100 + tail)))
        else:
            rows.append(row(n, at, events, sched=at, end=at + 100 + tail))
    return rows


@pytest.mark.parametrize("late_close", [False, True])
def test_the_tail_of_a_servers_answers_is_not_blamed_on_the_bench(late_close: bool) -> None:
    """The finish reason, the usage or the end of the body arrives late."""
    result = result_of(run(stopped=1300), *with_tail(30, late_close=late_close))
    assert result.verdict.level == "trusted"
    assert check(result, "littles_law").value == pytest.approx(0)
    assert check(result, "concurrency").status == "pass"
    assert "the server held streams open for 30.0 ms after their last token (mean): no latency includes that time" in (
        result.notes
    )


def test_an_ordinary_tail_needs_no_note() -> None:
    assert result_of(run(stopped=1005), *with_tail(0.5)).notes == []


def test_littles_law_allows_a_millisecond_per_short_request() -> None:
    """Sending takes 0.4 ms of the bench's time: 31 % of such a short request, and a usual delay of a timer."""
    sends = poisson(300)
    rows = [row(n, send + 0.4, [send + 1.0, send + 1.3], sched=send) for n, send in enumerate(sends)]
    found = check(result_of(run(load=OPEN, stopped=sends[-1] + 10), *rows), "littles_law")
    assert (found.status, found.value) == ("pass", pytest.approx(0.4 / 1.3, abs=0.01))
    assert found.limit == pytest.approx(1 / 1.3)
    assert found.text.endswith("(0.4 ms per request)")


def test_more_than_a_millisecond_between_short_requests_is_found() -> None:
    sends = poisson(300)
    rows = [row(n, send + 3, [send + 4, send + 5], sched=send) for n, send in enumerate(sends)]
    found = check(result_of(run(load=OPEN, stopped=sends[-1] + 10), *rows), "littles_law")
    assert found.status == "fail"
    assert "this machine sends late" in found.remedy


def opening(took: float, *, reopened: bool = False) -> list[Row]:
    """One stream whose server closes the connection after each answer, so that the next request opens one."""
    rows = []
    for n in range(10):
        at = n * (100 + took)
        send = at + took
        events = [send + 40, send + 60, send + 80, send + 100]
        waited = round(took * MS)
        rows.append(row(n, send, events, sched=at, opened=True, reopened=reopened, waited_ns=waited))
    return rows


def test_the_time_to_open_connections_is_not_blamed_on_the_bench() -> None:
    result = result_of(run(stopped=1200), *opening(20))
    assert result.verdict.level == "trusted"
    assert check(result, "lateness").value == 0
    assert check(result, "littles_law").value == pytest.approx(0)
    assert result.headline.latency["lateness"].mean == 20  # the figure is what it is
    assert result.headline.latency["ttft"].mean == 40
    assert any(
        note.startswith("10 of 10 requests opened a connection, which took 20.0 ms (mean)") for note in result.notes
    )


def test_reopened_connections_are_counted_and_shown() -> None:
    reopened = result_of(run(stopped=1200), *opening(20, reopened=True))
    assert reopened.counts.reopened == 10
    assert "10 reopened: the server had closed them" in click.unstyle(render(reopened, run().view, None))
    assert "| connections reopened | 10 |" in render_markdown(reopened, run().view)
    opened = result_of(run(stopped=1200), *opening(20))
    assert opened.counts.reopened == 0
    assert "reopened" not in click.unstyle(render(opened, run().view, None)) + render_markdown(opened, run().view)


def test_late_sends_are_still_blamed_on_the_bench_if_connections_are_opened() -> None:
    rows = []
    for n in range(10):
        at = n * 120
        rows.append(row(n, at + 20, [at + 60, at + 120], sched=at, opened=True, waited_ns=5 * MS))
    found = check(result_of(run(stopped=1200), *rows), "lateness")
    assert (found.status, found.value) == ("fail", 15)


def test_a_limit_that_holds_requests_back_is_reported_as_a_missed_rate() -> None:
    """Ten requests per second are due, each takes 200 ms, and one at a time is allowed: about half are sent in time."""
    sends = [max(n * 100.0, n * 200.0) + 0.5 for n in range(20)]
    rows = [
        row(n, sends[n], [sends[n] + 50, sends[n] + 199.5], sched=n * 100, queued_ns=round((n * 200 - n * 100) * MS))
        for n in range(20)
    ]
    load = OPEN | {"streams": 1, "rate": 10.0, "arrivals": "constant"}
    result = result_of(run(load=load, stopped=2000), *rows)
    assert check(result, "lateness").value == pytest.approx(0.5)
    assert check(result, "littles_law").status == "pass"
    assert check(result, "arrivals").status != "fail"
    found = check(result, "rate")
    assert (found.status, found.value) == ("fail", pytest.approx(0.55))  # the eleventh goes out as the window ends
    assert found.remedy == ("the limit of 1 concurrent request was reached: raise --max-concurrency, or lower the rate")
    assert result.verdict.level == "degraded"
    assert result.headline.latency["lateness"].max == pytest.approx(0.5 + 900)  # of the requests sent in the window


def unreachable(number: int, at: float) -> Row:
    return row(
        number,
        at,
        [],
        sched=at,
        end=at + 0.5,
        outcome=Outcome.CONNECT,
        error="connection refused",
        send_ns=None,
        tokens=None,
        waited_ns=round(0.4 * MS),
    )


def test_a_server_that_accepts_no_connections_does_not_lower_the_rate() -> None:
    sends = poisson(300)
    down = [unreachable(n, at) for n, at in enumerate(sends) if 1000 < at < 1500]
    up = [one for one in at_moments(*sends) if not 1000 < one.record.sched_ns / MS - 1_000_000 < 1500]
    result = result_of(run(load=OPEN, stopped=sends[-1] + 10), *up, *down)
    assert len(down) > 20
    found = check(result, "rate")
    assert found.status == "pass"
    assert f"{len(down)} of them to a server that accepted no connection" in found.text
    assert check(result, "arrivals").status == "pass"
    assert result.verdict.level == "trusted"
    assert result.counts.failed == len(down)


def test_requests_that_wait_for_a_connection_count_as_sent_as_drawn() -> None:
    """Every other one opens a connection for 5 ms."""
    rows = []
    for n in range(100):
        waited = 5.0 if n % 2 else 0.0
        send = n * 10 + waited
        rows.append(row(n, send, [send + 5, send + 9], sched=n * 10, opened=True, waited_ns=round(waited * MS)))
    result = result_of(run(load=OPEN | {"arrivals": "constant"}), *rows)
    assert check(result, "arrivals").status == "pass"
    assert check(result, "arrivals").value == pytest.approx(0)


def test_requests_that_the_bench_did_not_send_lower_the_rate() -> None:
    rows = at_moments(*(n * 10.0 for n in range(100)))
    rows += [row(200 + n, 5.0, [], sched=5.0, outcome=Outcome.CANCELLED, send_ns=None, tokens=None) for n in range(2)]
    found = check(result_of(run(load=OPEN), *rows), "rate")
    assert (found.status, found.value) == ("fail", pytest.approx(100 / 102))


def test_a_request_due_at_the_end_of_the_window_may_be_sent_just_after_it() -> None:
    rows = at_moments(*(n * 10.0 for n in range(10)), 99.9, late=0.3)
    assert check(result_of(run(load=OPEN, stopped=100), *rows), "rate").status == "pass"


def test_a_server_that_fails_half_of_the_requests_does_not_lower_the_verdict() -> None:
    sends = poisson(400)
    rows = at_moments(*sends)
    rows = [
        one if n % 2 else row(n, sends[n], [], end=sends[n] + 1, outcome=Outcome.HTTP_5XX, status=500, tokens=None)
        for n, one in enumerate(rows)
    ]
    result = result_of(run(load=OPEN, stopped=sends[-1] + 10), *rows)
    assert result.verdict.level == "trusted"
    assert (result.counts.ok, result.counts.failed) == (200, 200)


def test_streams_that_idle_between_requests_are_blamed_on_the_bench() -> None:
    """Answers of 1 ms with 0.3 ms between them: a quarter of the load is missing, although requests were due."""
    rows = [row(n, n * 1.3 + 0.3, [n * 1.3 + 0.9, n * 1.3 + 1.3], sched=n * 1.3) for n in range(100)]
    found = check(result_of(run(stopped=130), *rows), "concurrency")
    assert found.status == "fail"
    assert found.remedy.startswith("for 23% of the time the next request was due and this machine had not sent it")


def bursts() -> list[Row]:
    """Two events per burst, which may have arrived up to 8 ms apart."""
    return [row(n, n, [n + 40, n + 50, n + 60], doubts=[0, 8.0, 0], merged_reads=1) for n in range(400)]


def test_events_that_a_server_sends_in_bursts_are_not_blamed_on_a_slow_machine() -> None:
    found = check(result_of(run(stopped=400), *bursts()), "client_error")
    assert found.status == "fail"  # the figures are blurred all the same
    assert found.remedy.startswith("the server sends in bursts: 400 reads returned several events")


def test_events_that_a_late_client_reads_together_are_blamed_on_it() -> None:
    found = check(result_of(run(stopped=400, health=health(*[3.0] * 1000, cpu_wait_s=2.0)), *bursts()), "client_error")
    assert "other processes used the core" in found.remedy


def test_a_run_that_was_cut_short_states_how_much_of_it_ran() -> None:
    why = "stopped early: no request was answered for 10 s (connection refused)"
    facts = run(stopped=1000, gave_up=why, load={"duration_s": 4.0, "requests": 100})
    result = result_of(facts, *back_to_back(10))
    found = check(result, "cut_short")
    assert (found.status, found.value, found.limit) == ("fail", pytest.approx(0.25), 1.0)
    assert found.text == f"{why}; the run covered 1.0 of 4 s"
    assert "--give-up-after" in found.remedy
    assert result.verdict.level == "degraded"
    assert result.verdict.reasons[0].code == "cut_short"


def test_a_run_that_was_cut_short_before_any_success_states_both() -> None:
    rows = [unreachable(n, n * 10) for n in range(10)]
    result = result_of(run(gave_up="stopped early: no request was answered for 10 s"), *rows)
    assert [reason.code for reason in result.verdict.reasons] == ["cut_short", "no_request_succeeded"]


def test_wrong_lengths_that_ended_a_run_have_their_own_remedy() -> None:
    rows = [row(n, n, [n + 5], outcome=Outcome.LENGTH_MISMATCH, error="20 tokens") for n in range(20)]
    result = result_of(run(gave_up="stopped early: another length"), *rows)
    assert "--no-ignore-eos" in result.verdict.reasons[0].remedy
