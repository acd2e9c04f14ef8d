"""The table of requests: its groups of columns, and the figures of each request."""

from __future__ import annotations

import numpy as np
import pytest

from bench.figures.request_table import RequestTable
from bench.outcome import Outcome
from tests.unit.bench.rows import MS, Row, columns, ms, row


def table(*rows: Row) -> RequestTable:
    return RequestTable(columns(*rows))


def test_a_slot_is_held_from_the_start_of_sending_until_it_is_free() -> None:
    waited = row(0, 20, [60, 120], sched=5, queued_ns=3 * MS, waited_ns=10 * MS, free_ns=ms(130))
    times = table(waited).times
    found = (times.sched_ns, times.due_ns, times.begun_ns, times.send_ns, times.free_ns)
    assert [column.tolist() for column in found] == [[ms(at)] for at in (5, 8, 10, 20, 130)]


def test_the_tokens_of_an_answer_are_its_usage_or_else_its_events() -> None:
    counts = table(row(0, 0, [10, 20], tokens=[3, 4]), row(1, 0, [10, 20], tokens=None)).counts
    assert counts.tokens.tolist() == [7, 2]
    assert counts.usage_tokens.tolist() == [7, -1]
    assert counts.first_tokens.tolist() == [3, 1]
    assert counts.knows_event_tokens.tolist() == [True, False]


def test_a_row_ends_in_exactly_one_way() -> None:
    outcomes = (Outcome.OK, Outcome.CANCELLED, Outcome.HTTP_5XX)
    found = table(*(row(n, 0, [10], outcome=outcome) for n, outcome in enumerate(outcomes)))
    assert np.stack((found.ok, found.cancelled, found.failed)).sum(axis=0).tolist() == [1, 1, 1]
    assert found.has_outcome(Outcome.HTTP_5XX).tolist() == [False, False, True]
    assert (found.sampled.tolist(), found.is_partial) == ([True, False, False], False)


def test_where_nothing_completed_the_requests_in_progress_are_sampled() -> None:
    found = table(row(0, 0, [10], outcome=Outcome.CANCELLED), row(1, 0, [], outcome=Outcome.CANCELLED))
    assert (found.sampled.tolist(), found.is_partial) == ([True, False], True)


def test_the_errors_of_a_figure_come_from_the_doubt_of_its_two_moments() -> None:
    found = table(row(0, 0, [50, 70, 90], doubts=[2.0, 0.0, 4.0], send_took_ns=MS))
    expected = {
        "ttft": (50, 2, 1),
        "ttft_sched": (50, 2, 0),
        "ttfv": (50, 2, 1),
        "tpot": (20, 2, 1),
        "e2e": (90, 4, 1),
        "lateness": (0, 1, 0),
    }
    for name, values in expected.items():
        assert [part.tolist() for part in found.figure(name)] == [[value] for value in values], name


def test_the_largest_gap_and_the_tokens_grow_with_the_events() -> None:
    found = table(row(0, 0, [50, 70]), row(1, 0, [50]))
    assert np.isnan(found.figure("max_gap").ms).all()
    found.add_events(np.array([0, 1]), np.array([-1, -1]), np.array([2, -1]))
    found.add_events(np.array([0, 0]), np.array([20 * MS, 5 * MS]), np.array([1, 3]))
    assert found.figure("max_gap").ms.tolist() == [20, pytest.approx(np.nan, nan_ok=True)]
    assert found.counted.tolist() == [6, 0]
