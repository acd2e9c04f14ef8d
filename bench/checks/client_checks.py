"""Checks how the bench itself may have affected the figures: how late it read, and how long it stood still."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from bench.figures.catalogue import LATENCIES
from bench.outcome import Outcome
from bench.records.health import Health, WireHealth
from bench.records.result import Check, Counts, Figures
from bench.records.run import Run
from bench.units import plural

ERROR_LIMIT_MS = 1.0
ERROR_LIMIT_SHARE = 0.02
LAG_P99_LIMIT_MS = 2.0
PAUSE_LIMIT_MS = 50.0
CPU_LIMIT = 0.9
CLOCK_STEP_LIMIT_MS = 1.0
RETRANSMITS_LIMIT = 0.01


def client_checks(figures: Figures, run: Run, requests: int, merged_reads: int = 0) -> Iterator[Check]:
    """Run these checks over the headline figures. `merged_reads` is how many reads returned several token events."""
    health = run.health
    if health is None:
        yield _not_watched(run)
        return
    if run.unfinished is not None:
        yield Check(
            code="records_cut",
            status="fail",
            text=f"the disk accepted no more records ({run.records_end}): these figures cover the time before that",
            value=float(requests),
            unit="requests",
            remedy=f"{run.sent or 0:,} requests were sent; if result.json was kept, it covers all of them",
        )
    wire = health.wire
    if wire.stamps == "kernel":
        yield _error(figures, health, merged_reads)
        yield _read_lag(wire)
        yield from _clock_steps(wire)
    yield _loop_lag(health)
    yield _pause(health)
    yield _cpu(health)
    if wire.retransmits is not None:
        yield _retransmits(wire.retransmits, requests)


def _not_watched(run: Run) -> Check:
    """The check that fails for a run that was read back before its end, or that has no end."""
    again = "whether the client kept up is unknown: run it again"
    text, remedy = {
        "running": ("the bench is still running: these are its figures so far", "report it again when it has ended"),
        "disk": ("the last record is incomplete: the disk was full, or the bench was killed", again),
    }.get(run.unfinished or "", ("the bench was killed before the end of the run", again))
    return Check(code="not_watched", status="fail", text=text, remedy=remedy)


def _error(figures: Figures, health: Health, merged_reads: int) -> Check:
    """Compare the largest error that the client may have added to a figure with the limit for that figure."""
    code = "client_error"
    worst: tuple[float, str, float, float] | None = None
    for figure in filter(attrgetter("is_checked"), LATENCIES.values()):
        for percent in ("50", "99"):
            found = figures.latency[figure.name].percentiles[percent]
            if found.value is None or found.client_error is None:
                continue
            limit = max(ERROR_LIMIT_MS, ERROR_LIMIT_SHARE * found.value)
            candidate = (found.client_error / limit, f"{figure.label} p{percent}", found.client_error, limit)
            worst = candidate if worst is None else max(worst, candidate)
    if worst is None:
        return Check(code=code, status="n/a", text="the client's own error is unknown: too few samples")
    share, where, error, limit = worst
    failed = share > 1
    return Check(
        code=code,
        status="fail" if failed else "pass",
        text=f"{where} may be off by {error:,.1f} ms because of the client"
        if failed
        else f"client's own error ≤ {max(error, 0.001):.3f} ms ({where})",
        value=error,
        limit=limit,
        unit="ms",
        remedy=_error_remedy(health, merged_reads),
    )


def _error_remedy(health: Health, merged_reads: int) -> str:
    """If the client was never late, reads return several events only because the server sends in bursts."""
    lag_p99 = health.loop_lag.percentile_ms(99)
    if merged_reads and lag_p99 is not None and lag_p99 <= ERROR_LIMIT_MS:
        return (
            f"the server sends in bursts: {merged_reads:,} reads returned several events, "
            "of which only the last has its own timestamp"
        )
    return _remedy(health)


def _read_lag(wire: WireHealth) -> Check:
    """This check never fails: the kernel's timestamps do not depend on when they are read."""
    p99 = None if wire.read_lag is None else wire.read_lag.percentile_ms(99)
    text = "nothing was read" if p99 is None else f"read {p99:.1f} ms after arrival at p99"
    return Check(code="read_lag", status="n/a" if p99 is None else "pass", text=text, value=p99, unit="ms")


def _clock_steps(wire: WireHealth) -> Iterator[Check]:
    largest = max(map(abs, wire.clock_steps_ms), default=0.0)
    if largest:
        yield Check(
            code="clock_step",
            status="fail" if largest > CLOCK_STEP_LIMIT_MS else "pass",
            text=f"the system's clock was set by {largest:,.1f} ms",
            value=largest,
            limit=CLOCK_STEP_LIMIT_MS,
            unit="ms",
            remedy="timestamps of the 10 ms before are off by as much: let the clock settle and run it again",
        )


def _loop_lag(health: Health) -> Check:
    """Without kernel timestamps, the lag of the event loop stands in for the client's own error."""
    p99 = health.loop_lag.percentile_ms(99)
    if p99 is None:
        return Check(code="loop_lag", status="n/a", text="loop lag unknown: the load was too short")
    counts = health.wire.stamps == "read"
    return Check(
        code="loop_lag",
        status="fail" if counts and p99 > LAG_P99_LIMIT_MS else "pass",
        text=f"loop lag p99 {p99:.1f} ms",
        value=p99,
        limit=LAG_P99_LIMIT_MS if counts else None,
        unit="ms",
        remedy=f"latencies may be this much too long; {_remedy(health)}",
    )


def _pause(health: Health) -> Check:
    largest = health.loop_lag.max_ms
    return Check(
        code="client_pause",
        status="pass" if largest <= PAUSE_LIMIT_MS else "fail",
        text=f"longest pause of the client {largest:,.1f} ms",
        value=largest,
        limit=PAUSE_LIMIT_MS,
        unit="ms",
        remedy="the bench itself stood still: run it again with fewer other programs on this machine",
    )


def _cpu(health: Health) -> Check:
    share = health.cpu_s / health.wall_s
    return Check(
        code="client_cpu",
        status="pass" if share <= CPU_LIMIT else "fail",
        text=f"client {share:.0%} of a core",
        value=share,
        limit=CPU_LIMIT,
        unit="share",
        remedy="the bench itself is the limit: reduce the load",
    )


def _retransmits(segments: int, requests: int) -> Check:
    share = segments / max(requests, 1)
    return Check(
        code="retransmits",
        status="pass" if share <= RETRANSMITS_LIMIT else "fail",
        text=f"{segments:,} TCP segments sent again",
        value=share,
        limit=RETRANSMITS_LIMIT,
        unit="share",
        remedy="the network loses packets; each costs 200 ms or more, which is not the server's time",
    )


def own_limit(counts: Counts) -> Iterator[Check]:
    """The check that fails if requests could not be sent because this machine ran out of something."""
    for found in counts.failures:
        if found.outcome == Outcome.CLIENT_LIMIT:
            yield Check(
                code="client_limit",
                status="fail",
                text=f"{plural(found.count, 'request')} hit a limit of this machine",
                value=found.count,
                limit=0,
                unit="requests",
                remedy=found.first_error,
            )


def _remedy(health: Health) -> str:
    """What to do about a late client: either its own work is too much, or that of other processes."""
    if health.cpu_wait_s is not None and health.cpu_wait_s > 0.02 * health.wall_s:
        return f"other processes used the core for {health.cpu_wait_s / health.wall_s:.0%} of the time: stop them"
    return "reduce the load, or use a faster machine"
