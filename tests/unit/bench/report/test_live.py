"""The live view: its content, and the terminal that it leaves unchanged."""

from __future__ import annotations

import asyncio
import os
import pty
import re
from io import StringIO

import pytest
from click import unstyle

from bench.load.attempt import Attempt, AttemptFacts
from bench.load.health_watch import HealthWatch
from bench.load.plan import ClosedLoop, Limits, Start
from bench.load.tally import Tally
from bench.records.moments import MomentLog
from bench.report.live import Gauges, LiveView, Silence, make_watcher
from bench.target import Deadline, Timeouts
from bench.units import NS_PER_S
from bench.wire import SdkWire
from tests.unit.bench.runs import run


def lines(gauges: Gauges, at_s: float, width: int = 100) -> list[str]:
    return [unstyle(line) for line in gauges.lines(round(at_s * NS_PER_S), width)]


def begun(limits: Limits) -> ClosedLoop:
    plan = ClosedLoop(64, limits)
    plan.begin(100 * NS_PER_S)
    return plan


def attempts(n: int) -> set[Attempt]:
    """Requests in progress."""
    moments, deadline = MomentLog(), Deadline(Timeouts())
    return {
        Attempt(AttemptFacts(Start(number, 0), "load", number, 0, "r", 128, None, False, True), deadline, moments)
        for number in range(n)
    }


def test_rates_cover_the_last_second() -> None:
    tally = Tally()
    gauges = Gauges(run(streams=64), begun(Limits(duration_s=15)), tally, HealthWatch(SdkWire(1)))
    lines(gauges, 100)
    tally.tokens, tally.ok = 500, 10
    lines(gauges, 100.5)
    tally.tokens, tally.ok, tally.failed = 1500, 30, 2
    tally.under_way |= attempts(64)
    tally.ttft_ns.extend(n * 1_000_000 for n in range(1, 101))
    text = "\n".join(lines(gauges, 101))
    assert "m · 64 streams · 1.0 s, 14.0 s left" in text
    assert "in flight        64     30 ok · 2 failed" in text
    assert "req/s          32.0     tok/s    1,500" in text
    assert "TTFT p50       51.0     p99      100.0  ms" in text
    tally.tokens = 2000
    assert "tok/s    1,500" in "\n".join(lines(gauges, 101.5))  # 500 at 100.5, so 1,500 in this second


def test_the_end_of_sending_is_shown_and_no_line_is_too_wide() -> None:
    plan = begun(Limits(requests=10, duration_s=60))
    tally = Tally()
    tally.under_way |= attempts(3)
    gauges = Gauges(run(), plan, tally, HealthWatch(SdkWire(1)))
    assert "60.0 s left or 10 requests left" in lines(gauges, 100)[0]
    plan.stop(101 * NS_PER_S)
    assert "waiting for the last 3 answers" in lines(gauges, 102)[0]
    assert len(lines(gauges, 102)) <= 10
    assert len(lines(gauges, 102, width=40)[1]) <= 40


@pytest.mark.parametrize("width", [40, 55, 56, 80])
def test_a_narrow_view_has_the_same_content(width: int) -> None:
    tally = Tally()
    gauges = Gauges(run(streams=64), begun(Limits(duration_s=15)), tally, HealthWatch(SdkWire(1)))
    tally.ok, tally.failed, tally.tokens = 30, 2, 1500
    shown = lines(gauges, 101, width)
    assert len(shown) == 6
    assert max(map(len, shown)) <= width
    for words in ("30 ok · 2 failed", "req/s", "tok/s", "TTFT p50", "client lag"):
        assert words in "\n".join(shown)


def test_only_a_terminal_has_a_view() -> None:
    assert isinstance(make_watcher(True, StringIO(), {}), Silence)
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb"), os.fdopen(follower, "w") as terminal:
        assert isinstance(make_watcher(True, terminal, {}), LiveView)
        assert isinstance(make_watcher(False, terminal, {}), Silence)
        assert isinstance(make_watcher(True, terminal, {"TERM": "dumb", "FORCE_COLOR": "1"}), Silence)


def test_without_colour_the_view_only_moves_the_cursor() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        make_watcher(True, terminal, {"TERM": "xterm", "NO_COLOR": "1"}).stage("warming up")
        painted = os.read(leader, 65536).decode()
    os.close(leader)
    assert "warming up" in painted
    assert not re.search(r"\x1b\[[0-9;]*m", painted)


def test_the_terminal_is_left_as_it_was_found() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        view = LiveView(terminal)

        async def main() -> None:
            view.stage("warming up")
            plan = begun(Limits(duration_s=15))
            with view.load(run(), plan, Tally(), HealthWatch(SdkWire(1))):
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        asyncio.run(main())
        read = b""
        while not read.endswith(b"\x1b[?25h"):  # a terminal hands over what was written in pieces
            read += os.read(leader, 65536)
        painted = read.decode()
    os.close(leader)
    assert "warming up" in painted
    assert "in flight" in painted
    assert painted.startswith("\x1b[?25l")
    blank = "\x1b[2K\r\n" * 6 + "\x1b[2K"
    assert painted.endswith(f"\x1b[6F{blank}\x1b[6F\x1b[?25h")  # cleared, the cursor at the first line and back
