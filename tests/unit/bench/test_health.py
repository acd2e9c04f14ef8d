"""A pause of the event loop shows in every tick that it swallowed, with real timers."""

from __future__ import annotations

import asyncio
import gc
from itertools import pairwise
from time import monotonic_ns

import pytest
import uvloop

from bench.health import TICK_MS, HealthWatch
from bench.ticker import Ticker
from bench.units import NS_PER_MS

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def run_on(loop: str, main: object) -> object:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main)  # type: ignore[arg-type]


def hold_the_loop(milliseconds: int) -> None:
    until_ns = monotonic_ns() + milliseconds * NS_PER_MS
    while monotonic_ns() < until_ns:
        pass


@pytest.mark.parametrize("loop", LOOPS)
def test_ticks_come_in_order_and_none_is_lost(loop: str) -> None:
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
    assert isinstance(ticks, list)
    assert {later[0] - earlier[0] for earlier, later in pairwise(ticks)} == {2 * NS_PER_MS}
    assert all(now_ns >= due_ns for due_ns, now_ns in ticks)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_pause_is_seen_by_all_ticks_it_swallowed(loop: str) -> None:
    async def main() -> list[int]:
        watch = HealthWatch()
        watch.start()
        await asyncio.sleep(0)
        hold_the_loop(10 * TICK_MS)
        while watch.lag_ms() == 0:  # noqa: ASYNC110 - until the tick that comes after the pause
            await asyncio.sleep(0)
        return watch.stop().loop_lag_us

    lags = run_on(loop, main())
    assert isinstance(lags, list)
    swallowed = [lag for lag in lags if lag > 1000 * TICK_MS / 2]
    assert len(swallowed) >= 8
    assert max(swallowed) >= 8 * TICK_MS * 1000
    assert swallowed == sorted(swallowed, reverse=True)


def test_cpu_time_and_collections_are_counted_and_the_hook_is_taken_back() -> None:
    hooks = len(gc.callbacks)

    async def main() -> object:
        watch = HealthWatch()
        watch.start()
        hold_the_loop(20)
        gc.collect()
        return watch.stop()

    health = asyncio.run(main())  # type: ignore[arg-type]
    assert health.cpu_s > 0  # type: ignore[attr-defined]
    assert health.wall_s >= 0.02  # type: ignore[attr-defined]
    assert len(health.gc_pauses_ms) >= 1  # type: ignore[attr-defined]
    assert len(gc.callbacks) == hooks
