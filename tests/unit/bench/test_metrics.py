"""The figures of docs/metrics.md, golden from literal records and against the definitions written out plainly."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.metrics import Requests, figures, tokens_are
from bench.outcome import Outcome
from bench.record import Columns
from bench.result import Distribution, Figures
from bench.window import Span
from tests.unit.bench.rows import T0, columns, ms, record

P = [50.0, 99.0]


def over(rows: Columns, begin: float = 0, end: float = 1000) -> Figures:
    return figures(Requests(rows), Span(ms(begin), ms(end)), T0, P)


def mean(figure: Distribution) -> float:
    assert figure.mean is not None
    return figure.mean


def test_one_request_by_hand() -> None:
    """Sent at 10, planned at 8; first token at 110, then gaps of 20, 20 and 60."""
    found = over(columns(record(0, 10, [110, 130, 150, 210], sched=8, end=212)))
    latency = {name: figure.mean for name, figure in found.latency.items()}
    assert latency == {
        "ttft": 100.0,
        "ttft_sched": 102.0,
        "ttfv": 100.0,
        "tpot": pytest.approx(100 / 3),
        "e2e": 200.0,
        "max_gap": 60.0,
        "lateness": 2.0,
        "icl": pytest.approx(100 / 3),
        "itl": pytest.approx(100 / 3),
    }
    assert mean(found.speed_per_user) == pytest.approx(30.0)
    assert (found.requests, found.requests_per_s, found.output_tokens_per_s, found.input_tokens_per_s) == (1, 1, 4, 10)
    assert found.mean_concurrency == pytest.approx(0.202)
    assert (found.window.begin_s, found.window.end_s) == (0, 1)


def test_an_event_of_several_tokens() -> None:
    """Tokens 2, 3, 1 at 100, 130, 150: ITL 10 and 20, TPOT 50 over the four tokens after the first event."""
    found = over(columns(record(0, 0, [100, 130, 150], tokens=[2, 3, 1])))
    assert found.latency["itl"].min == 10
    assert found.latency["itl"].max == 20
    assert (found.latency["icl"].min, found.latency["icl"].max) == (20, 30)
    assert mean(found.latency["tpot"]) == 12.5
    assert found.output_tokens_per_s == 6


def test_reasoning_first_makes_the_first_visible_token_later() -> None:
    found = over(columns(record(0, 0, [50, 60, 70], visible=2), record(1, 0, [50], visible=None)))
    assert found.latency["ttft"].mean == 50
    assert (found.latency["ttfv"].n, found.latency["ttfv"].mean) == (1, 70)


def test_one_token_alone_has_no_tpot_and_no_gap() -> None:
    found = over(columns(record(0, 0, [50])))
    assert found.latency["tpot"].reason == "no answer had tokens after its first event"
    assert found.latency["max_gap"].reason == "no answer had two token events"
    assert (found.latency["icl"].n, found.latency["itl"].n, found.speed_per_user.n) == (0, 0, 0)
    assert found.latency["e2e"].mean == 50


def test_all_tokens_in_the_first_event_have_no_tpot() -> None:
    assert over(columns(record(0, 0, [50], tokens=[9]))).latency["tpot"].n == 0


def test_chunks_are_never_tokens_in_silence() -> None:
    unknown = record(0, 0, [100, 130, 150], tokens=None, completion_tokens=7)
    found = over(columns(unknown))
    assert found.latency["itl"].n == 0
    assert found.latency["itl"].reason == "tokens per event unknown in 1 of 1 requests; see ICL"
    assert found.latency["icl"].n == 2
    assert mean(found.latency["tpot"]) == pytest.approx(50 / 6)  # n from the usage, one token in the first event
    assert found.output_tokens_per_s == pytest.approx(7)
    assert found.tokens_are == "usage"


def test_itl_of_nearly_all_requests_stands_for_them() -> None:
    rows = [record(n, n, [100 + n, 110 + n]) for n in range(19)]
    rows.append(record(19, 0, [100, 400], tokens=None, completion_tokens=9))
    assert over(columns(*rows)).latency["itl"].n == 19
    assert over(columns(*rows[1:])).latency["itl"].n == 0


def test_without_usage_tokens_are_chunks_and_say_so() -> None:
    bare = record(0, 0, [100, 120], tokens=None)
    assert over(columns(bare)).tokens_are == "chunks"
    assert over(columns(bare, record(1, 0, [100, 120]))).tokens_are == "mixed"
    assert over(columns(bare)).output_tokens_per_s == 2
    assert over(columns(bare)).latency["tpot"].mean == 20


def test_failures_stay_out_and_count_as_infinite_beside() -> None:
    rows = [record(n, n, [100 + n, 110 + n]) for n in range(4)]
    rows.append(record(4, 4, [50, 60], outcome=Outcome.TRUNCATED, error="cut"))
    found = over(columns(*rows))
    assert (found.requests, found.latency["ttft"].n, found.latency["ttft"].max) == (4, 4, 100)
    assert found.output_tokens_per_s == 8
    assert found.latency_with_failures["ttft"]["50"].value == 100
    assert found.latency_with_failures["ttft"]["99"].value is None
    assert over(columns(*rows[:4])).latency_with_failures == {}


def test_tokens_of_what_the_bench_gave_up_were_served_all_the_same() -> None:
    given_up = record(1, 0, [100, 200], outcome=Outcome.CANCELLED)
    found = over(columns(record(0, 0, [100, 200]), given_up))
    assert (found.requests, found.output_tokens_per_s, found.input_tokens_per_s) == (1, 4, 20)
    assert found.latency_with_failures == {}


def test_the_window_takes_requests_by_their_send_and_tokens_by_their_own_time() -> None:
    early = record(0, 50, [150, 250])  # sent before the window, ends in it
    inside = record(1, 100, [180, 280])
    late = record(2, 150, [240, 340])  # ends after it
    after = record(3, 320, [400, 500])
    found = over(columns(early, inside, late, after), 100, 300)
    assert found.requests == 2
    assert found.requests_per_s == 2 / 0.2
    assert found.output_tokens_per_s == 5 / 0.2
    assert found.latency["icl"].n == 2  # the gaps that end at 250 and 280
    assert (found.latency["ttft"].min, found.latency["ttft"].max) == (80, 90)


def test_a_request_that_was_never_sent_counts_from_its_planned_start() -> None:
    unsent = record(0, 5, [], outcome=Outcome.CONNECT, error="refused", send_ns=None, sched=5)
    requests = Requests(columns(unsent))
    assert requests.send_ns.tolist() == [ms(5)]
    assert np.isnan(requests.lateness).all()
    assert np.isnan(requests.ttft).all()


def test_an_empty_load_has_no_figures_and_no_zeros() -> None:
    found = over(Columns())
    assert found.requests_per_s == 0  # none ended: that is a fact
    assert found.tokens_are is None
    assert found.input_tokens_per_s is None
    assert all(figure.n == 0 and figure.mean is None and figure.reason for figure in found.latency.values())


streams = st.lists(
    st.tuples(
        st.integers(0, 500),  # sent
        st.integers(0, 50),  # late by
        st.lists(st.tuples(st.integers(0, 60), st.integers(1, 4)), min_size=1, max_size=12),  # gap and tokens
    ),
    min_size=1,
    max_size=12,
)


@given(streams, st.integers(0, 300), st.integers(1, 700))
def test_figures_agree_with_their_definitions(
    drawn: list[tuple[int, int, list[tuple[int, int]]]], begin: int, length: int
) -> None:
    rows = []
    for number, (sched, late, gaps) in enumerate(drawn):
        send = sched + late
        moments = [send + sum(gap for gap, _ in gaps[: i + 1]) for i in range(len(gaps))]
        rows.append((sched, send, moments, [tokens for _, tokens in gaps], number))
    made = columns(*(record(n, send, moments, sched=sched, tokens=tok) for sched, send, moments, tok, n in rows))
    end = begin + length
    found = over(made, begin, end)

    sample = [row for row in rows if begin <= row[1] < end]
    expected = {
        "ttft": [moments[0] - send for _, send, moments, _, _ in sample],
        "ttft_sched": [moments[0] - sched for sched, _, moments, _, _ in sample],
        "e2e": [moments[-1] - send for _, send, moments, _, _ in sample],
        "lateness": [send - sched for sched, send, _, _, _ in sample],
        "max_gap": [max(b - a for a, b in pairwise(m)) for _, _, m, _, _ in sample if len(m) > 1],
        "tpot": [(m[-1] - m[0]) / (sum(t) - t[0]) for _, _, m, t, _ in sample if sum(t) > t[0]],
        "icl": [b - a for _, _, m, _, _ in rows for a, b in pairwise(m) if begin <= b < end],
        "itl": [(m[i] - m[i - 1]) / t[i] for _, _, m, t, _ in rows for i in range(1, len(m)) if begin <= m[i] < end],
    }
    for name, values in expected.items():
        figure = found.latency[name]
        assert figure.n == len(values), name
        if values:
            assert figure.mean == pytest.approx(sum(values) / len(values)), name
            assert (figure.min, figure.max) == pytest.approx((min(values), max(values))), name
    tokens = sum(t for _, _, m, tok, _ in rows for moment, t in zip(m, tok, strict=True) if begin <= moment < end)
    assert found.output_tokens_per_s == pytest.approx(tokens / length * 1000)
    ended = sum(begin <= m[-1] < end for _, _, m, _, _ in rows)
    assert found.requests_per_s == pytest.approx(ended / length * 1000)


@given(streams)
def test_identities(drawn: list[tuple[int, int, list[tuple[int, int]]]]) -> None:
    """TTFT and the gaps sum to E2E; ITL weighted by tokens sums to the decode time."""
    made = Columns()
    for number, (sched, late, gaps) in enumerate(drawn):
        send = sched + late
        moments = [send + sum(gap for gap, _ in gaps[: i + 1]) for i in range(len(gaps))]
        made.append(record(number, send, moments, sched=sched, tokens=[tokens for _, tokens in gaps]))
    requests = Requests(made)
    gaps_by_row = np.zeros(len(requests))
    np.add.at(gaps_by_row, requests.event_row, np.nan_to_num(requests.gap))
    assert (requests.ttft + gaps_by_row).tolist() == pytest.approx(requests.e2e.tolist())
    assert (requests.ttft + requests.lateness).tolist() == pytest.approx(requests.ttft_sched.tolist())
    weighted = np.zeros(len(requests))
    np.add.at(weighted, requests.event_row, np.nan_to_num(requests.gap / requests.event_tokens) * requests.event_tokens)
    assert weighted.tolist() == pytest.approx(gaps_by_row.tolist())
    assert float(requests.event_weight.sum()) == int(requests.tokens.sum())


def test_tokens_are_of_successful_requests_only() -> None:
    failed = record(0, 0, [1.0], outcome=Outcome.STREAM_ERROR, tokens=None)
    assert tokens_are(Requests(columns(failed))) is None
    assert tokens_are(Requests(columns(failed, record(1, 0, [1.0])))) == "usage"
    assert not math.isnan(Requests(columns(failed)).ttft[0])
