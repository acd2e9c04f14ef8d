"""Runs made by hand, for what is computed from them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.records.health import Health, WireHealth
from bench.records.lags import LagCounter, Lags
from bench.records.moments import Kind, MomentLog
from bench.records.record import OUTCOMES
from bench.records.run import LoadFacts, Negotiated, Run, TargetFacts, View
from bench.records.run_folder import RunFolder
from tests.unit.bench.rows import MS, T0, Row, ms


def lags(*milliseconds: float) -> Lags:
    """Delays, as a run keeps them."""
    counter = LagCounter()
    for lag in milliseconds:
        counter.add(round(lag * MS))
    return counter.lags()


def health(*loop_lags: float, wire: WireHealth | None = None, **fields: Any) -> Health:
    """A client that was on time but for these delays (ms), and that used a tenth of its core."""
    given = {"cpu_s": 1.0, "wall_s": 10.0, "cpu_wait_s": 0.0, "wire": wire or KERNEL}
    return Health(loop_lag=lags(*(loop_lags or [0.1] * 1000)), **(given | fields))


KERNEL = WireHealth(stamps="kernel", read_lag=lags(0.1), unstamped_reads=0, clock_error_ms=0.001, retransmits=0)
READ = WireHealth(stamps="read")
CALM = health()


def run(*, streams: int = 1, stopped: float = 1000, health: Health | None = CALM, **fields: Any) -> Run:
    """A run that began at 0 and stopped sending at `stopped` milliseconds."""
    load = {"streams": streams, "duration_s": stopped / 1000, "output_len": 128, "seed": 7, "prompts": "4 prompts"}
    given = {
        "tool": "streamgauge 0.0",
        "id": "2026-01-02-030405",
        "started": "2026-01-02T03:04:05+00:00",
        "again": "python -m bench --seed 7",
        "target": TargetFacts(url="http://h:1/v1", endpoint="/v1/chat/completions", kind="chat", model="m"),
        "load": LoadFacts(**(load | fields.pop("load", {}))),
        "negotiated": Negotiated(usage=True, continuous_usage=True, fixed_length=True),
        "view": View(),
        "begun_ns": T0,
        "stopped_ns": ms(stopped),
        "ended_ns": ms(stopped),
        "health": health,
    }
    return Run(**(given | fields))


def keep_run(parent: Path, facts: Run, rows: Iterable[Row]) -> RunFolder:
    """A folder with all moments of these requests, as the driver records them."""
    noted = MomentLog()
    folder = RunFolder(parent, datetime(2026, 1, 2, tzinfo=UTC), noted)
    folder.save_run(facts)
    for one in rows:
        record = one.record
        noted.note(record.request, Kind.SCHED, record.sched_ns)
        noted.note(record.request, Kind.SEND, record.send_ns or 0)
        for ns, kind, tokens, _ in one.events:
            noted.note(record.request, kind, ns, tokens or 0)
        noted.note(record.request, Kind.END, record.end_ns, OUTCOMES.index(record.outcome))
        folder.keep(record)
        folder.flush()
    return folder
