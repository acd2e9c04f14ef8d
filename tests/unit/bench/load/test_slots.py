"""Slots of an open loop: the lowest free one, a limit, and who waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.load.plan import Start
from bench.load.slots import Slots


def test_the_lowest_free_slot_is_used_first() -> None:
    slots = Slots(None)
    assert [slots.enter(Start(n, n)) for n in range(3)] == [0, 1, 2]
    assert slots.leave(1) is None
    assert slots.leave(0) is None
    assert [slots.enter(Start(n, n)) for n in range(3, 6)] == [0, 1, 3]


def test_beyond_the_limit_requests_wait_in_their_order() -> None:
    slots = Slots(1)
    assert [slots.enter(Start(n, n)) for n in range(3)] == [0, None, None]
    assert slots.leave(0) == Start(1, 1)
    assert slots.leave(0) == Start(2, 2)
    assert slots.leave(0) is None
    assert slots.enter(Start(3, 3)) == 0


def test_no_request_waits_after_the_run_is_given_up() -> None:
    slots = Slots(1)
    assert [slots.enter(Start(n, n)) for n in range(2)] == [0, None]
    assert slots.leave(0, stop=True) is None


@given(st.integers(1, 5), st.lists(st.booleans()))
def test_no_more_requests_are_in_progress_than_allowed_and_none_is_lost(most: int, arrives: list[bool]) -> None:
    slots, under_way, entered, number = Slots(most), {}, [], 0
    for arrival in arrives:
        if arrival:
            slot = slots.enter(Start(number, 0))
            if slot is not None:
                assert slot not in under_way
                under_way[slot] = number
                entered.append(number)
            number += 1
        elif under_way:
            slot = min(under_way)
            following = slots.leave(slot)
            del under_way[slot]
            if following is not None:
                under_way[slot] = following.request
                entered.append(following.request)
        assert len(under_way) <= most
    while under_way:
        slot, _ = under_way.popitem()
        following = slots.leave(slot)
        if following is not None:
            under_way[slot] = following.request
            entered.append(following.request)
    assert entered == list(range(number))
