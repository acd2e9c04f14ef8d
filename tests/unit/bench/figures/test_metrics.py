"""The figures of docs/metrics.md: from literal records, and compared with plainly written definitions."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.figures.metrics import Method, figures, tokens_are
from bench.figures.request_table import RequestTable
from bench.figures.token_flow import flow, walk
from bench.figures.window import Span
from bench.outcome import Outcome
from bench.records.moments import Kind
from bench.records.result import Distribution, Figures
from tests.unit.bench.rows import T0, Row, columns, moments, ms, row

P = [50.0, 99.0]
SPAN = Span(ms(0), ms(1000))


def over(*rows: Row, begin: float = 0, end: float = 1000, method: Method | None = None) -> Figures:
    requests = RequestTable(columns(*rows))
    (window,) = flow(requests, moments(*rows), [Span(ms(begin), ms(end))])
    return figures(requests, window, T0, method or Method(P))


def mean(figure: Distribution) -> float:
    assert figure.mean is not None
    return figure.mean


def test_one_request_calculated_by_hand() -> None:
    """Sent at 10, planned at 8; first token at 110, then gaps of 20, 20 and 60."""
    found = over(row(0, 10, [110, 130, 150, 210], sched=8, end=212))
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
    found = over(row(0, 0, [100, 130, 150], tokens=[2, 3, 1]))
    assert found.latency["itl"].min == 10
    assert found.latency["itl"].max == 20
    assert (found.latency["icl"].min, found.latency["icl"].max) == (20, 30)
    assert mean(found.latency["tpot"]) == 12.5
    assert found.output_tokens_per_s == 6


def test_reasoning_first_makes_the_first_visible_token_later() -> None:
    thought, said = Kind.HIDDEN, Kind.VISIBLE
    found = over(row(0, 0, [50, 60, 70], kinds=[thought, thought, said]), row(1, 0, [50], kinds=[thought]))
    assert found.latency["ttft"].mean == 50
    assert (found.latency["ttfv"].n, found.latency["ttfv"].mean) == (1, 70)


def test_a_single_token_has_no_tpot_and_no_gap() -> None:
    found = over(row(0, 0, [50]))
    assert found.latency["tpot"].reason == "no answer had tokens after its first event"
    assert found.latency["max_gap"].reason == "no answer had two token events"
    assert (found.latency["icl"].n, found.latency["itl"].n, found.speed_per_user.n) == (0, 0, 0)
    assert found.latency["e2e"].mean == 50


def test_an_answer_with_all_tokens_in_its_first_event_has_no_tpot() -> None:
    assert over(row(0, 0, [50], tokens=[9])).latency["tpot"].n == 0


def test_chunks_never_silently_count_as_tokens() -> None:
    unknown = row(0, 0, [100, 130, 150], tokens=None, completion_tokens=7)
    found = over(unknown)
    assert found.latency["itl"].n == 0
    assert found.latency["itl"].reason == "tokens per event unknown in 1 of 1 requests; see ICL"
    assert found.latency["icl"].n == 2
    assert mean(found.latency["tpot"]) == pytest.approx(50 / 6)  # n from the usage, one token in the first event
    assert found.output_tokens_per_s == pytest.approx(7)
    assert found.tokens_are == "usage"


def test_itl_covers_the_requests_with_known_tokens_if_they_are_nearly_all() -> None:
    rows = [row(n, n, [100 + n, 110 + n]) for n in range(19)]
    rows.append(row(19, 0, [100, 400], tokens=None, completion_tokens=9))
    assert over(*rows).latency["itl"].n == 19
    assert over(*rows[1:]).latency["itl"].n == 0


def test_without_usage_tokens_are_counted_and_labelled_as_chunks() -> None:
    bare = row(0, 0, [100, 120], tokens=None)
    assert over(bare).tokens_are == "chunks"
    assert over(bare, row(1, 0, [100, 120])).tokens_are == "mixed"
    assert over(bare).output_tokens_per_s == 2
    assert over(bare).token_rate == "chunks/s"
    assert over(bare, row(1, 0, [100, 120])).token_rate == "tok or chunks/s"


def test_without_usage_the_time_per_token_is_unknown() -> None:
    """With three tokens per chunk, the time per chunk is three times the time per token."""
    bare = [row(n, n, [100 + n, 130 + n, 160 + n], tokens=None) for n in range(20)]
    found = over(*bare, method=Method(P, slos={"tpot": 20.0}))
    for figure in (found.latency["tpot"], found.latency["itl"], found.speed_per_user):
        assert (figure.n, figure.mean) == (0, None)
    assert found.latency["tpot"].reason is not None
    assert found.latency["tpot"].reason.startswith("the server sent no usage with the answers")
    assert found.latency["icl"].mean == 30
    assert found.goodput is None  # 30 ms a chunk is no TPOT over its limit


def test_tpot_covers_the_answers_with_usage_if_they_are_nearly_all() -> None:
    rows = [row(n, n, [100 + n, 110 + n]) for n in range(19)]
    rows.append(row(19, 0, [100, 400], tokens=None))
    assert over(*rows).latency["tpot"].n == 19
    few = over(*rows[1:]).latency["tpot"]
    assert few.n == 0
    assert few.reason is not None
    assert "1 of 19 answers" in few.reason


def test_tpot_states_what_it_assumes_about_the_first_event() -> None:
    unknown = row(0, 0, [100, 130, 150], tokens=None, completion_tokens=7)
    assert over(unknown).latency["tpot"].assumes == (
        "the first event carried one token: usage arrived only at the end, and events hold several tokens"
    )
    assert over(unknown).speed_per_user.assumes is not None
    both = over(unknown, row(1, 0, [100, 130]))
    assert "in 1 of 2 requests" in (both.latency["tpot"].assumes or "")
    assert over(row(1, 0, [100, 130])).latency["tpot"].assumes is None
    assert both.latency["ttft"].assumes is None


def test_failures_are_left_out_and_counted_as_infinite_separately() -> None:
    rows = [row(n, n, [100 + n, 110 + n]) for n in range(4)]
    rows.append(row(4, 4, [50, 60], outcome=Outcome.TRUNCATED, error="cut"))
    found = over(*rows)
    assert (found.requests, found.latency["ttft"].n, found.latency["ttft"].max) == (4, 4, 100)
    assert (found.latency["icl"].n, found.latency["itl"].n, found.latency["e2e"].n) == (4, 4, 4)
    assert found.input_tokens_per_s == 40  # of the four prompts that were answered
    assert found.output_tokens_per_s == 8
    assert found.latency_with_failures["ttft"]["50"].value == 100
    assert found.latency_with_failures["ttft"]["99"].value is None
    assert over(*rows[:4]).latency_with_failures == {}


def test_tokens_of_answers_that_the_bench_gave_up_count_as_served() -> None:
    given_up = row(1, 0, [100, 200], outcome=Outcome.CANCELLED)
    found = over(row(0, 0, [100, 200]), given_up)
    assert (found.requests, found.output_tokens_per_s, found.input_tokens_per_s) == (1, 4, 20)
    assert found.latency_with_failures == {}


def test_requests_belong_to_the_window_by_their_send_and_tokens_by_their_arrival() -> None:
    early = row(0, 50, [150, 250])  # sent before the window, ends in it
    inside = row(1, 100, [180, 280])
    late = row(2, 150, [240, 340])  # ends after it
    after = row(3, 320, [400, 500])
    found = over(early, inside, late, after, begin=100, end=300)
    assert found.requests == 2
    assert found.requests_per_s == 2 / 0.2
    assert found.output_tokens_per_s == 5 / 0.2
    assert found.latency["icl"].n == 2  # the gaps that end at 250 and 280
    assert (found.latency["ttft"].min, found.latency["ttft"].max) == (80, 90)


def test_a_request_that_was_never_sent_counts_from_its_planned_start() -> None:
    unsent = row(0, 5, [], outcome=Outcome.CONNECT, error="refused", send_ns=None, sched=5)
    requests = RequestTable(columns(unsent))
    assert requests.times.send_ns.tolist() == [ms(5)]
    assert np.isnan(requests.figure("lateness").ms).all()
    assert np.isnan(requests.figure("ttft").ms).all()


def test_an_empty_load_has_no_figures_and_no_zeros() -> None:
    found = over()
    assert found.requests_per_s is None
    assert found.output_tokens_per_s is None
    assert found.rates_reason == "no request ended in the window"
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
    made = [row(n, send, events, sched=sched, tokens=tok) for sched, send, events, tok, n in rows]
    end = begin + length
    found = over(*made, begin=begin, end=end)

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
    assert (found.output_tokens_per_s or 0) == pytest.approx(tokens / length * 1000)
    ended = sum(begin <= m[-1] < end for _, _, m, _, _ in rows)
    assert (found.requests_per_s is None) == (ended == 0)
    assert (found.requests_per_s or 0) == pytest.approx(ended / length * 1000)


@given(streams)
def test_identities(drawn: list[tuple[int, int, list[tuple[int, int]]]]) -> None:
    """TTFT and the gaps sum to E2E; ITL weighted by tokens sums to the decode time."""
    made = []
    for number, (sched, late, gaps) in enumerate(drawn):
        send = sched + late
        events = [float(send + sum(gap for gap, _ in gaps[: i + 1])) for i in range(len(gaps))]
        made.append(row(number, send, events, sched=sched, tokens=[tokens for _, tokens in gaps]))
    requests = RequestTable(columns(*made))
    gaps_by_row, weighted = np.zeros(len(made)), np.zeros(len(made))
    for events in walk(requests, moments(*made)()):
        gap_ms = np.maximum(events.gap_ns, 0) / 1e6
        np.add.at(gaps_by_row, events.row, gap_ms)
        np.add.at(weighted, events.row, gap_ms / events.tokens * events.tokens)
    assert (requests.figure("ttft").ms + gaps_by_row).tolist() == pytest.approx(requests.figure("e2e").ms.tolist())
    assert (requests.figure("ttft").ms + requests.figure("lateness").ms).tolist() == pytest.approx(
        requests.figure("ttft_sched").ms.tolist()
    )
    assert weighted.tolist() == pytest.approx(gaps_by_row.tolist())
    (window,) = flow(requests, moments(*made), [Span(ms(0), ms(10_000))])
    assert requests.counted.tolist() == requests.counts.tokens.tolist()
    assert window.tokens == int(requests.counts.tokens.sum())


@settings(max_examples=30)
@given(streams, st.integers(1, 100))
def test_figures_do_not_depend_on_how_the_events_are_read(
    drawn: list[tuple[int, int, list[tuple[int, int]]]], size: int
) -> None:
    made = []
    for number, (sched, late, gaps) in enumerate(drawn):
        send = sched + late
        events = [float(send + sum(gap for gap, _ in gaps[: i + 1])) for i in range(len(gaps))]
        made.append(row(number, send, events, sched=sched, tokens=[tokens for _, tokens in gaps]))
    (data,) = moments(*made)()
    requests = RequestTable(columns(*made))
    (window,) = flow(requests, lambda: [data[at : at + size] for at in range(0, len(data), size)], [SPAN])
    found, whole = figures(requests, window, T0, Method(P)), over(*made)
    for name, figure in whole.latency.items():
        assert found.latency[name].percentiles == figure.percentiles
        assert found.latency[name].mean == pytest.approx(figure.mean)
    assert found.output_tokens_per_s == pytest.approx(whole.output_tokens_per_s)


def test_empty_events_without_a_token_are_dropped_with_their_gaps() -> None:
    kinds = [Kind.EMPTY, Kind.VISIBLE, Kind.VISIBLE, Kind.EMPTY]
    bounds = {"first_ns": ms(100), "last_ns": ms(130)}
    found = over(row(0, 0, [50, 100, 130, 150], kinds=kinds, events=2, dropped=2, completion_tokens=2, **bounds))
    assert (found.latency["ttft"].mean, found.latency["e2e"].mean) == (100, 130)
    assert (found.latency["icl"].n, found.latency["icl"].mean) == (1, 30)
    assert found.output_tokens_per_s == 2


def test_answers_in_one_piece_have_only_a_duration() -> None:
    whole = row(0, 10, [], end=210, tokens=None, streamed=False, completion_tokens=7)
    found = over(whole, row(1, 10, [], end=410, tokens=None, streamed=False, completion_tokens=3))
    assert found.latency["e2e"].mean == 300
    assert found.latency["ttft"].reason == "answers arrived in one piece"
    assert (found.requests_per_s, found.output_tokens_per_s, found.input_tokens_per_s) == (2, 10, 20)
    assert found.tokens_are == "usage"


def test_the_clients_error_is_the_farthest_that_each_percentile_can_move() -> None:
    """In 400 requests, each first token may have arrived 3 ms earlier, and each send may be 1 ms earlier."""
    made = [row(n, n, [n + 100, n + 120], doubts=[3.0, 0.0], send_took_ns=1_000_000) for n in range(400)]
    found = over(*made, method=Method(P, clock_error_ms=0.5))
    ttft, e2e, icl = (found.latency[name].percentiles["99"] for name in ("ttft", "e2e", "icl"))
    assert (ttft.value, ttft.client_error) == (100, pytest.approx(3.5))
    assert (e2e.value, e2e.client_error) == (120, pytest.approx(1.5))
    assert icl.value == 20
    assert icl.client_error == pytest.approx(3.0 + 0.5, abs=0.02)  # doubts are kept in steps of 16 µs
    unknown = over(*made).latency["ttft"].percentiles["99"]
    assert unknown.client_error is None


def test_a_percentile_that_no_doubt_can_move_has_no_error() -> None:
    made = [row(n, n, [n + 100 + n / 10], doubts=[50.0 if n > 390 else 0.0]) for n in range(400)]
    ttft = over(*made, method=Method(P, clock_error_ms=0.0)).latency["ttft"].percentiles
    assert ttft["50"].client_error == pytest.approx(0.9)  # all nine may belong below it: nine places of 0.1 ms
    assert ttft["99"].client_error == pytest.approx(0.9, abs=0.01)


def test_goodput_is_a_share_of_all_requests_that_were_due() -> None:
    made = [row(n, n * 10, [n * 10 + (50 if n % 2 else 150), n * 10 + 200], sched=n * 10) for n in range(10)]
    made.append(row(10, 5, [], sched=5, outcome=Outcome.HTTP_5XX, tokens=None))
    made.append(row(11, 5, [], sched=5, outcome=Outcome.CANCELLED, tokens=None))
    goodput = over(*made, method=Method(P, slos={"ttft": 100, "e2e": 200})).goodput
    assert goodput is not None
    assert (goodput.due, goodput.met, goodput.requests_per_s) == (11, 5, 5.0)
    assert goodput.share == pytest.approx(5 / 11)
    assert over(*made, method=Method(P, slos={"e2e": 199})).goodput.met == 0  # type: ignore[union-attr]


def test_goodput_covers_requests_due_in_the_window_whenever_they_were_sent() -> None:
    late = [row(n, 120, [150], sched=90) for n in (0, 1)]  # due before, sent inside
    inside = row(2, 320, [350], sched=190)  # due inside, sent after
    goodput = over(*late, inside, begin=100, end=300, method=Method(P, slos={"e2e": 100})).goodput
    assert goodput is not None
    assert (goodput.due, goodput.met) == (1, 1)


def test_a_figure_that_a_request_lacks_meets_no_limit() -> None:
    goodput = over(row(0, 0, [50]), method=Method(P, slos={"tpot": 1000})).goodput
    assert goodput is not None
    assert (goodput.due, goodput.met) == (1, 0)


def test_only_successful_requests_decide_what_tokens_are() -> None:
    failed = row(0, 0, [1.0], outcome=Outcome.STREAM_ERROR, tokens=None)
    assert tokens_are(RequestTable(columns(failed))) is None
    assert tokens_are(RequestTable(columns(failed, row(1, 0, [1.0])))) == "usage"
    assert not math.isnan(RequestTable(columns(failed)).figure("ttft").ms[0])
