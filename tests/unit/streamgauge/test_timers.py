"""Timers on every kind of event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from time import monotonic_ns
from typing import Any, TypeVar

import pytest
import uvloop

from streamgauge.timers import Alarm, KernelAlarm, LoopAlarm, Ticker

NS_PER_MS = 1_000_000
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
MakeAlarm = Callable[[Callable[[], None]], Alarm]
T = TypeVar("T")

on_each_loop = pytest.mark.parametrize("loop", LOOPS)
of_each_kind = pytest.mark.parametrize("make", [KernelAlarm, LoopAlarm])


def run_on(loop: str, main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main)


def hold_the_loop(milliseconds: int) -> None:
    until_ns = monotonic_ns() + milliseconds * NS_PER_MS
    while monotonic_ns() < until_ns:
        pass


@on_each_loop
def test_ticks_arrive_in_order_and_none_is_lost(loop: str) -> None:
    async def main() -> list[tuple[int, int]]:
        ticks: list[tuple[int, int]] = []
        enough = asyncio.Event()

        def on_tick(due_ns: int, now_ns: int) -> None:
            ticks.append((due_ns, now_ns))
            if len(ticks) == 5:
                hold_the_loop(12)
            if len(ticks) >= 30:
                enough.set()

        ticker = Ticker(2 * NS_PER_MS, on_tick)
        ticker.start()
        await enough.wait()
        ticker.stop()
        return ticks

    ticks = run_on(loop, main())
    assert {later[0] - earlier[0] for earlier, later in pairwise(ticks)} == {2 * NS_PER_MS}
    assert all(now_ns >= due_ns for due_ns, now_ns in ticks)


@of_each_kind
@on_each_loop
def test_an_alarm_rings_once_for_each_moment_and_a_past_moment_rings_too(loop: str, make: MakeAlarm) -> None:
    async def main() -> list[tuple[int, int]]:
        rung: list[tuple[int, int]] = []
        enough = asyncio.Event()
        due_ns = 0

        def on_alarm() -> None:
            nonlocal due_ns
            rung.append((due_ns, monotonic_ns()))
            if len(rung) == 5:
                enough.set()
            else:
                due_ns = max(due_ns, monotonic_ns()) + 2 * NS_PER_MS
                alarm.set(due_ns)

        alarm = make(on_alarm)
        alarm.set(0)  # long past
        await enough.wait()
        alarm.close()
        return rung

    rung = run_on(loop, main())
    assert len(rung) == 5
    resolution_ns = NS_PER_MS if make is LoopAlarm else 0  # loops may round a timer down
    assert all(now_ns >= due_ns - resolution_ns for due_ns, now_ns in rung)


@of_each_kind
@on_each_loop
def test_setting_an_alarm_again_replaces_its_moment(loop: str, make: MakeAlarm) -> None:
    async def main() -> int:
        rung: list[int] = []
        enough = asyncio.Event()
        later = make(lambda: rung.append(2))
        first = make(enough.set)
        later.set(monotonic_ns() + NS_PER_MS)
        later.set(monotonic_ns() + 3_600_000 * NS_PER_MS)
        first.set(monotonic_ns() + 3 * NS_PER_MS)
        await enough.wait()
        for alarm in (later, first, first):  # twice does no harm
            alarm.close()
        return len(rung)

    assert run_on(loop, main()) == 0


@of_each_kind
@on_each_loop
def test_a_closed_alarm_does_not_ring(loop: str, make: MakeAlarm) -> None:
    async def main() -> int:
        rung: list[int] = []
        enough = asyncio.Event()
        closed, other = make(lambda: rung.append(1)), make(enough.set)
        closed.set(monotonic_ns() + NS_PER_MS)
        closed.close()
        other.set(monotonic_ns() + 3 * NS_PER_MS)
        await enough.wait()
        other.close()
        return len(rung)

    assert run_on(loop, main()) == 0
