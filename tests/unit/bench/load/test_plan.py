"""A closed loop hands out starts until its limit, and says when sending stopped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.load.plan import ClosedLoop, Limits, Start

S = 1_000_000_000


def begun(**limits: float | int) -> ClosedLoop:
    plan = ClosedLoop(4, Limits(**limits))  # type: ignore[arg-type]
    plan.begin(10 * S)
    return plan


def test_a_request_is_due_when_its_slot_becomes_free() -> None:
    plan = begun(duration_s=15)
    assert plan.take(free_ns=10 * S, now_ns=10 * S) == Start(0, 10 * S)
    assert plan.take(free_ns=11 * S, now_ns=11 * S + 5) == Start(1, 11 * S)


def test_sending_ends_at_the_end_of_the_duration() -> None:
    plan = begun(duration_s=2)
    assert plan.take(11 * S, 12 * S - 1) is not None
    assert plan.take(12 * S, 13 * S) is None
    assert plan.stopped_ns == 12 * S
    assert plan.take(11 * S, 11 * S) is None


def test_a_count_ends_the_sending_with_its_last_start() -> None:
    plan = begun(requests=2)
    assert plan.take(10 * S, 10 * S) == Start(0, 10 * S)
    assert plan.stopped_ns is None
    assert plan.take(10 * S, 11 * S) == Start(1, 10 * S)
    assert plan.stopped_ns == 11 * S
    assert plan.take(12 * S, 12 * S) is None


def test_the_limit_that_is_reached_first_ends_the_plan() -> None:
    plan = begun(duration_s=1, requests=2)
    assert plan.take(10 * S, 10 * S) is not None
    assert plan.take(11 * S, 11 * S) is None
    assert (plan.sent, plan.stopped_ns) == (1, 11 * S)


def test_the_first_stop_counts() -> None:
    plan = begun(duration_s=10)
    plan.stop(12 * S)
    plan.stop(13 * S)
    assert plan.stopped_ns == 12 * S
    assert plan.take(12 * S, 12 * S) is None
    assert plan.progress(12 * S) == 1.0


def test_progress_follows_the_nearer_limit() -> None:
    plan = begun(duration_s=10, requests=4)
    assert plan.progress(10 * S) == 0.0
    plan.take(10 * S, 10 * S)
    assert plan.progress(11 * S) == 0.25
    assert plan.progress(15 * S) == 0.5


@given(st.integers(1, 50), st.lists(st.integers(0, 3 * S), max_size=100))
def test_never_more_than_asked_and_numbered_in_order(requests: int, gaps: list[int]) -> None:
    plan = begun(requests=requests)
    now = 10 * S
    starts = []
    for gap in gaps:
        now += gap
        if (start := plan.take(now, now)) is not None:
            starts.append(start)
    assert [start.request for start in starts] == list(range(min(requests, len(gaps))))
