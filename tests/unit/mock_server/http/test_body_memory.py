"""Which body is given up when all of them together are too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.errors import ApiError
from mock_server.http.body_memory import SMALL, BodyMemory

MOST = 10 * SMALL


def test_small_bodies_are_always_received() -> None:
    memory = BodyMemory(MOST)
    shares = [memory.share(lambda: None) for _ in range(100)]
    for share in shares:
        share.grow(SMALL)
    assert memory.used == 0


def test_the_body_that_needs_more_is_refused_while_all_are_young() -> None:
    memory = BodyMemory(MOST)
    first, second = memory.share(lambda: None), memory.share(lambda: None)
    first.grow(9 * SMALL)
    with pytest.raises(ApiError) as caught:
        second.grow(2 * SMALL)
    assert (caught.value.status, caught.value.code, caught.value.headers["retry-after"]) == (503, "bodies_full", "1")
    first.release()
    second.grow(2 * SMALL)
    second.release()
    assert memory.used == 0


def test_a_body_that_has_been_incomplete_for_long_is_given_up() -> None:
    now = 0.0
    memory = BodyMemory(MOST, now=lambda: now)
    given_up: list[str] = []
    old, complete = memory.share(lambda: given_up.append("old")), memory.share(lambda: given_up.append("complete"))
    complete.grow(4 * SMALL)
    complete.complete()
    old.grow(5 * SMALL)
    now = 5.0
    new = memory.share(lambda: given_up.append("new"))
    new.grow(6 * SMALL)
    assert given_up == ["old"]
    assert old.is_given_up
    old.grow(9 * SMALL)
    assert memory.used == 10 * SMALL
    with pytest.raises(ApiError):
        new.grow(7 * SMALL)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12 * SMALL), st.booleans())))
def test_memory_is_given_back_and_never_exceeds_the_limit(steps: list[tuple[int, int, bool]]) -> None:
    now = 0.0
    memory = BodyMemory(MOST, now=lambda: now)
    shares = [memory.share(lambda: None) for _ in range(5)]
    for index, size, completes in steps:
        now += 1.0
        try:
            shares[index].grow(max(size, shares[index].size))
        except ApiError:
            shares[index].release()
        if completes:
            shares[index].complete()
        assert 0 <= memory.used <= MOST
    for share in shares:
        share.release()
    assert memory.used == 0
