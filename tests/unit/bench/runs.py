"""Runs made by hand, for what is computed from them."""

from __future__ import annotations

from typing import Any

from bench.health import Health
from bench.run import LoadFacts, Negotiated, Run, TargetFacts, View
from tests.unit.bench.rows import T0, ms

CALM = Health(loop_lag_us=[100] * 1000, cpu_s=1.0, wall_s=10.0, cpu_wait_s=0.0)


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
