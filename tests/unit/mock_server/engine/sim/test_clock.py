from __future__ import annotations

import asyncio

import pytest

from mock_server.engine.sim.clock import RealClock, VirtualClock


def test_virtual_time_jumps_from_alarm_to_alarm() -> None:
    async def scenario() -> list[tuple[float, str]]:
        clock = VirtualClock()
        clock.start()
        seen: list[tuple[float, str]] = []

        async def sleeper(name: str, *times: float) -> None:
            for at in times:
                await clock.sleep_until(at)
                seen.append((clock.now(), name))

        await asyncio.gather(sleeper("a", 1.0, 2.5, 2.5), sleeper("b", 2.0, 3.0), sleeper("c", 0.0))
        clock.call_at(1.0, lambda: seen.append((clock.now(), "late")))
        await clock.sleep_until(4.0)
        return seen

    assert asyncio.run(scenario()) == [
        (0.0, "c"), (1.0, "a"), (2.0, "b"), (2.5, "a"), (2.5, "a"), (3.0, "b"), (3.0, "late"),
    ]  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_real_alarms_fire_in_order_and_never_early(scale: float) -> None:
    async def scenario() -> list[tuple[float, float]]:
        clock = RealClock(scale)
        clock.start()
        start = clock.now()
        rung: list[tuple[float, float]] = []
        for at in (0.03, 0.01, 0.02, 0.01, -1.0):
            clock.call_at(start + at * scale, lambda at=at: rung.append((at, (clock.now() - start) / scale)))  # type: ignore[misc]
        await clock.sleep_until(start + 0.04 * scale)
        clock.stop()
        return rung

    rung = asyncio.run(scenario())
    assert [at for at, _ in rung] == [-1.0, 0.01, 0.01, 0.02, 0.03]
    assert all(now >= at for at, now in rung)


def test_a_clock_that_has_not_started_raises_an_error() -> None:
    with pytest.raises(RuntimeError, match="start"):
        RealClock().call_at(0.0, lambda: None)
    with pytest.raises(ValueError, match=r"time_scale must be above 0 \(got 0\)"):
        RealClock(0)
