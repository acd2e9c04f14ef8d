"""Lanes of an open loop: the lowest free one, a limit, and who waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.load.plan import Start
from bench.load.slots import Lanes


def test_the_lowest_lane_that_is_free_is_taken_first() -> None:
    lanes = Lanes(None)
    assert [lanes.enter(Start(n, n)) for n in range(3)] == [0, 1, 2]
    assert lanes.leave(1) is None
    assert lanes.leave(0) is None
    assert [lanes.enter(Start(n, n)) for n in range(3, 6)] == [0, 1, 3]


def test_beyond_the_limit_requests_wait_in_their_order() -> None:
    lanes = Lanes(1)
    assert [lanes.enter(Start(n, n)) for n in range(3)] == [0, None, None]
    assert lanes.leave(0) == Start(1, 1)
    assert lanes.leave(0) == Start(2, 2)
    assert lanes.leave(0) is None
    assert lanes.enter(Start(3, 3)) == 0


def test_nobody_waits_once_the_run_is_given_up() -> None:
    lanes = Lanes(1)
    assert [lanes.enter(Start(n, n)) for n in range(2)] == [0, None]
    assert lanes.leave(0, stop=True) is None


@given(st.integers(1, 5), st.lists(st.booleans()))
def test_no_more_are_under_way_than_allowed_and_none_is_lost(most: int, arrives: list[bool]) -> None:
    lanes, under_way, entered, number = Lanes(most), {}, [], 0
    for arrival in arrives:
        if arrival:
            lane = lanes.enter(Start(number, 0))
            if lane is not None:
                assert lane not in under_way
                under_way[lane] = number
                entered.append(number)
            number += 1
        elif under_way:
            lane = min(under_way)
            following = lanes.leave(lane)
            del under_way[lane]
            if following is not None:
                under_way[lane] = following.request
                entered.append(following.request)
        assert len(under_way) <= most
    while under_way:
        lane, _ = under_way.popitem()
        following = lanes.leave(lane)
        if following is not None:
            under_way[lane] = following.request
            entered.append(following.request)
    assert entered == list(range(number))
