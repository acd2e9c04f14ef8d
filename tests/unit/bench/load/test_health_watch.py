"""A pause of the event loop shows in every tick that it swallowed, with real timers."""

from __future__ import annotations

import asyncio
import gc
import math
from time import monotonic_ns

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from bench.load.health_watch import TICK_MS, HealthWatch
from bench.records.health import Health
from bench.records.lags import LagCounter, Lags
from bench.units import NS_PER_MS
from bench.wire import SdkWire

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def run_on(loop: str, main: object) -> object:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(main)  # type: ignore[arg-type]


def hold_the_loop(milliseconds: int) -> None:
    until_ns = monotonic_ns() + milliseconds * NS_PER_MS
    while monotonic_ns() < until_ns:
        pass


@pytest.mark.parametrize("loop", LOOPS)
def test_a_pause_shows_in_all_ticks_that_it_delayed(loop: str) -> None:
    async def main() -> Health:
        watch = HealthWatch(SdkWire(1))
        watch.start()
        await asyncio.sleep(0)
        hold_the_loop(10 * TICK_MS)
        while watch.lag_ms() == 0:  # noqa: ASYNC110 - until the tick that comes after the pause
            await asyncio.sleep(0)
        return watch.stop()

    health = run_on(loop, main())
    assert isinstance(health, Health)
    assert health.loop_lag.max_ms >= 8 * TICK_MS
    swallowed = [number for number, count in health.loop_lag.bins.items() for _ in range(count) if number > 300]
    assert len(swallowed) >= 8  # of about 10, 20, … 100 ms, in bins of 16 µs of which the last holds all beyond 67 ms


def test_cpu_time_and_collections_are_counted_and_the_hook_is_removed() -> None:
    hooks = len(gc.callbacks)

    async def main() -> Health:
        watch = HealthWatch(SdkWire(1))
        watch.start()
        hold_the_loop(20)
        gc.collect()
        return watch.stop()

    health = asyncio.run(main())
    assert health.cpu_s > 0
    assert health.wall_s >= 0.02
    assert health.gc_pauses >= 1
    assert 0 < health.gc_pause_max_ms <= health.gc_pause_sum_ms
    assert (health.peak_mb or 0) > 10
    assert (health.wire.stamps, health.wire.read_lag) == ("read", None)
    assert len(gc.callbacks) == hooks


def test_each_tick_refreshes_the_wire_and_calls_the_callback() -> None:
    async def main() -> int:
        done: list[int] = []
        enough = asyncio.Event()

        def chore() -> None:
            done.append(1)
            if len(done) == 2:
                enough.set()

        watch = HealthWatch(SdkWire(1), chore)
        watch.start()
        await enough.wait()
        watch.stop()
        return len(done)

    assert asyncio.run(main()) == 2


@given(st.lists(st.integers(0, 200_000_000), min_size=1, max_size=50), st.sampled_from([1, 50, 90, 99, 100]))
def test_percentiles_of_lags_are_never_too_small_nor_a_bin_too_large(lags_ns: list[int], percent: int) -> None:
    counter = LagCounter()
    for lag_ns in lags_ns:
        counter.add(lag_ns)
    lags = counter.lags()
    true_ms = sorted(lags_ns)[math.ceil(percent / 100 * len(lags_ns)) - 1] / NS_PER_MS
    found = lags.percentile_ms(percent)
    assert found is not None
    assert found >= true_ms
    assert found <= (true_ms + 0.0165 if true_ms < 67 else lags.max_ms)
    assert lags.n == len(lags_ns)
    assert lags.max_ms >= max(lags_ns) / NS_PER_MS


def test_without_lags_there_are_no_percentiles_and_counting_can_restart() -> None:
    counter = LagCounter()
    counter.add(5_000_000)
    counter.clear()
    assert counter.lags() == Lags()
    assert counter.lags().percentile_ms(99) is None
