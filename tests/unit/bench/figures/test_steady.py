"""The spans of a run that figures cover: where they begin and end, and what is shown if one is missing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures.window import burst_end_ns
from bench.outcome import Outcome
from bench.records.result import Result
from tests.unit.bench.rows import Row, row
from tests.unit.bench.runs import run
from tests.unit.bench.test_summary import OPEN, check, result_of


def serial_prefill(streams: int, *, prefill: float, decode: float, stop: float) -> list[Row]:
    """A closed loop over a server that prefills one prompt at a time and takes `decode` ms for three more tokens."""
    free = [0.0] * streams
    rows: list[Row] = []
    busy_until = 0.0
    while True:
        slot = min(range(streams), key=free.__getitem__)
        sent = free[slot]
        if sent >= stop:
            return rows
        first = busy_until = max(busy_until, sent) + prefill
        events = [first + decode * share for share in (0.0, 1 / 3, 2 / 3, 1.0)]
        rows.append(row(len(rows), sent, events, sched=sent))
        free[slot] = events[-1]


def test_the_first_burst_of_a_closed_loop_is_outside_the_window() -> None:
    """64 prompts at once wait up to 1.28 s for a server that takes 20 ms for each; later ones wait 0.38 s at most."""
    rows = serial_prefill(64, prefill=20, decode=900, stop=12_000)
    result = result_of(run(streams=64, stopped=12_000), *rows)
    assert result.headline.latency["ttft"].max == pytest.approx(380)
    assert result.headline.window.begin_s == pytest.approx((61 * 20 + 900) / 1000)  # the 61st of the burst ended
    assert result.whole_run.latency["ttft"].max == pytest.approx(1280)
    assert result.verdict.level == "trusted"


def test_a_single_stream_has_no_first_burst() -> None:
    rows = [row(n, n * 100, [n * 100 + 40, n * 100 + 100]) for n in range(10)]
    result = result_of(run(streams=1), *rows)
    assert result.headline.window.begin_s == 0
    assert result.headline.requests == 10


def test_one_long_answer_in_the_first_burst_does_not_delay_the_window() -> None:
    rows = [row(0, 0, [50, 900], sched=0)]
    rows += [row(n, n // 3 * 100, [n // 3 * 100 + 50, n // 3 * 100 + 100], sched=n // 3 * 100) for n in range(30)][1:]
    result = result_of(run(streams=4), *rows)
    assert result.headline.window.begin_s == pytest.approx(0.1)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60))
def test_the_burst_is_over_when_all_but_one_in_twenty_streams_or_one_have_ended(ends: list[int]) -> None:
    streams = len(ends)
    found = burst_end_ns(np.array(ends, dtype=np.int64), streams)
    still = max(1, streams // 20)
    if streams == 1:
        assert found is None
    else:
        assert found is not None
        assert sum(end > found for end in ends) <= still
        assert sum(end >= found for end in ends) > still


def test_a_run_that_ends_with_its_burst_is_reported_as_a_whole() -> None:
    rows = serial_prefill(8, prefill=20, decode=100, stop=1)
    result = result_of(run(streams=8, stopped=1, load={"duration_s": None, "requests": 8}), *rows)
    assert result.headline.window == result.whole_run.window
    assert result.headline.requests == 8
    found = check(result, "steady_window")
    assert found.status == "fail"
    assert found.text.startswith("no steady window: after the first requests of the 8 streams")
    assert found.remedy.endswith("--num-requests 96 is enough")
    assert check(result, "concurrency").status == "n/a"  # the one reason is enough


def test_the_remedy_for_a_short_run_gives_a_steady_window() -> None:
    """As many requests as the remedy names, of the same kind."""
    rows = serial_prefill(8, prefill=20, decode=100, stop=2600)
    assert len(rows) >= 96
    rows = rows[:96]
    stopped = max(one.record.sched_ns for one in rows) / 1e6 - 1_000_000
    result = result_of(run(streams=8, stopped=stopped, load={"duration_s": None, "requests": 96}), *rows)
    assert result.headline.window != result.whole_run.window
    assert result.verdict.level == "trusted"


def test_a_window_shorter_than_a_request_does_not_count() -> None:
    rows = [row(0, 0, [50, 100], sched=0), row(1, 100, [200, 1100], sched=100)]
    result = result_of(run(stopped=150), *rows)
    assert check(result, "steady_window").value == pytest.approx(0.15)
    assert check(result, "steady_window").limit == pytest.approx(0.55)
    assert result.headline.window == result.whole_run.window


ENDS = {
    "one request": [row(0, 0, [50, 100])],
    "one token": [row(0, 0, [50])],
    "in one piece": [
        row(n, n * 50, [], end=n * 50 + 50, tokens=None, streamed=False, completion_tokens=7) for n in (0, 1)
    ],
    "all at the same instant": [row(n, 0, [50, 100]) for n in range(4)],
}


@pytest.mark.parametrize("rows", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("stopped", [0.0, 1.0, 100.0])
def test_the_last_end_belongs_to_the_run(rows: list[Row], stopped: float) -> None:
    result = result_of(run(streams=len(rows), stopped=stopped), *rows)
    whole = result.whole_run
    assert whole.requests_per_s == pytest.approx(len(rows) / whole.window.length_s)
    assert whole.output_tokens_per_s == pytest.approx(result.counts.output_tokens / whole.window.length_s)
    assert result.headline.requests_per_s


def test_an_answer_that_takes_no_time_has_a_rate() -> None:
    result = result_of(run(stopped=0), row(0, 0, [0.0]))
    assert result.headline.requests_per_s
    assert result.headline.output_tokens_per_s


def test_an_open_loop_that_sends_for_less_time_than_a_request_takes_is_reported_as_a_whole() -> None:
    """One request within 0.1 s, answered after 1 s: 0 req/s while requests are sent."""
    rows = [row(0, 0.2, [500, 1000], sched=0)]
    result = result_of(run(load=OPEN | {"requests": 1}, stopped=100), *rows)
    assert result.headline.requests_per_s == pytest.approx(1.0)
    found = check(result, "steady_window")
    assert found.text == "no steady window: requests were sent for 100 ms, while a request takes 1,000 ms"


def test_a_refused_stream_that_pauses_is_not_too_little_load() -> None:
    """Three of eight streams are served; the others are refused and try again after a pause."""
    rows = [row(n, n // 3 * 100, [n // 3 * 100 + 50, n // 3 * 100 + 100], sched=n // 3 * 100) for n in range(30)]
    refused = [refusal(100 + slot * 10 + turn, turn * 100, pause=99.0) for slot in range(5) for turn in range(10)]
    result = result_of(run(streams=8), *rows, *refused)
    assert result.headline.window.begin_s == pytest.approx(0.1)
    found = check(result, "concurrency")
    assert found.status == "pass"
    assert found.text == "3.0 of 8 streams open (the server refused 45 requests)"
    assert result.verdict.level == "trusted"


def refusal(number: int, at: float, *, pause: float) -> Row:
    """A request that is refused after a millisecond, after which its slot pauses."""
    end = at + 1
    return row(
        number,
        at,
        [],
        sched=at,
        end=end,
        outcome=Outcome.HTTP_429,
        status=429,
        error="HTTP 429: busy",
        tokens=None,
        free_ns=row(0, end + pause, []).record.sched_ns,
    )


def test_windows_do_not_overlap_earlier_requests() -> None:
    def begins(result: Result) -> float:
        assert result.headline.window.begin_s is not None
        return result.headline.window.begin_s

    runs = [
        result_of(run(streams=8, stopped=3000), *serial_prefill(8, prefill=prefill, decode=100, stop=3000))
        for prefill in (1, 5, 10, 20)
    ]
    assert all(before < after for before, after in pairwise(map(begins, runs)))
