"""The decisions of the pools, without sockets: tables of cases, and rules that always hold."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sdk.transport.origin_pool import OriginPool


@dataclass(eq=False)
class Kept:
    free_since_ns: int = 0
    usable: bool = True


def usable(connection: Kept) -> bool:
    return connection.usable


def always(_: str) -> bool:
    return True


def origin_pool(*free: Kept, limit: int = 9, idle_ns: int = 100, waiters: str = "") -> OriginPool[Kept, str]:
    made: OriginPool[Kept, str] = OriginPool(limit, idle_ns)
    made.free.extend(free)
    made.open = len(free)
    made.waiters.extend(waiters)
    return made


YOUNG, OLD, DEAD = Kept(950), Kept(900), Kept(990, usable=False)


@pytest.mark.parametrize(
    ("free", "taken", "useless"),
    [
        ([], None, []),
        ([YOUNG], YOUNG, []),
        ([OLD, YOUNG], YOUNG, []),
        ([YOUNG, DEAD], YOUNG, [DEAD]),
        ([OLD], None, [OLD]),
        ([DEAD, OLD], None, [OLD, DEAD]),
    ],
)
def test_the_newest_usable_one_is_taken(free: list[Kept], taken: Kept | None, useless: list[Kept]) -> None:
    assert origin_pool(*free).take_free(1000, usable) == (taken, useless)


@pytest.mark.parametrize(("open_now", "limit", "may"), [(0, 1, True), (1, 1, False), (3, 4, True), (4, 4, False)])
def test_places_up_to_the_limit(open_now: int, limit: int, may: bool) -> None:
    made = origin_pool(limit=limit)
    made.open = open_now
    assert made.take_place() is may
    assert made.open == open_now + may


@pytest.mark.parametrize(
    ("waiters", "gone", "served", "left"),
    [("", "", None, ""), ("ab", "", "a", "b"), ("abc", "ab", "c", ""), ("ab", "ab", None, "")],
)
def test_waiters_are_served_in_turn_and_those_that_left_are_skipped(
    waiters: str, gone: str, served: str | None, left: str
) -> None:
    def waits(waiter: str) -> bool:
        return waiter not in gone

    made = origin_pool(waiters=waiters)
    made.open = 1
    assert made.give_back(YOUNG, waits) == served
    assert "".join(made.waiters) == left
    assert made.free == ([] if served else [YOUNG])
    made = origin_pool(waiters=waiters)
    made.open = 1
    assert made.give_up_place(waits) == served
    assert made.open == (1 if served else 0)


def test_leaving_the_queue() -> None:
    made = origin_pool(waiters="ab")
    assert made.leave_queue("a")
    assert not made.leave_queue("a")
    assert list(made.waiters) == ["b"]


def test_connections_idle_too_long_expire() -> None:
    made = origin_pool(OLD, YOUNG)
    assert made.expired(999) == []
    assert made.expired(1000) == [OLD]
    assert made.next_expiry_ns() == 1000
    assert origin_pool().next_expiry_ns() is None


class AnyOrderOfThings(RuleBasedStateMachine):
    """Requests come, wait, end and break in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.pool: OriginPool[Kept, str] = OriginPool(3, 50)
        self.now_ns = 0
        self.busy: list[Kept] = []
        self.names = 0

    def _serve(self, waiter: str | None, connection: Kept | None) -> None:
        if waiter is not None:
            self.busy.append(connection or Kept(self.now_ns))

    @rule()
    def ask(self) -> None:
        connection, useless = self.pool.take_free(self.now_ns, usable)
        for _ in useless:
            self._serve(self.pool.give_up_place(always), None)
        if connection is not None:
            self.busy.append(connection)
        elif self.pool.take_place():
            self.busy.append(Kept(self.now_ns))
        else:
            self.names += 1
            self.pool.waiters.append(str(self.names))

    @precondition(lambda self: self.busy)
    @rule(index=st.integers(0, 99), clean=st.booleans())
    def end(self, index: int, clean: bool) -> None:
        connection = self.busy.pop(index % len(self.busy))
        connection.free_since_ns = self.now_ns
        if clean:
            self._serve(self.pool.give_back(connection, always), connection)
        else:
            self._serve(self.pool.give_up_place(always), None)

    @rule(ns=st.integers(0, 80))
    def wait(self, ns: int) -> None:
        self.now_ns += ns

    @precondition(lambda self: self.pool.free)
    @rule()
    def a_free_one_dies(self) -> None:
        self.pool.free[-1].usable = False

    @invariant()
    def the_count_is_right(self) -> None:
        assert self.pool.in_use == len(self.busy)
        assert self.pool.open == len(self.busy) + len(self.pool.free) <= 3

    @invariant()
    def nobody_waits_while_something_is_free(self) -> None:
        assert not (self.pool.waiters and (self.pool.free or self.pool.open < 3))


TestAnyOrderOfThings = AnyOrderOfThings.TestCase
