"""What the bench itself cost while it measured: how late its event loop ran, its CPU time, garbage collection."""

from __future__ import annotations

import gc
import resource
from array import array
from time import monotonic_ns
from typing import Any

import msgspec

from bench.ticker import Ticker
from bench.units import NS_PER_MS, NS_PER_S

TICK_MS = 10


class Health(msgspec.Struct, kw_only=True):
    """The client's own state during the load.

    `loop_lag_us` has one sample for every 10 ms: how long work that was due then had to wait. `cpu_s` is CPU time of
    the process (all threads), `wall_s` the time it is set against, `cpu_wait_s` how long it was ready to run and
    another process had the core (null off Linux). `gc_pauses_ms` are the collector's, `switched_out` counts
    involuntary context switches.
    """

    loop_lag_us: list[int] = []
    cpu_s: float = 0.0
    wall_s: float = 0.0
    cpu_wait_s: float | None = None
    gc_pauses_ms: list[float] = []
    switched_out: int = 0


class HealthWatch:
    """Watches from `start` to `stop`. Its tick is the whole cost: some microseconds a hundred times a second."""

    def __init__(self) -> None:
        self._lag_us = array("q")
        self._pauses_ns: list[int] = []
        self._gc_began_ns = 0
        self._began_ns = 0
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._waited_s: float | None = None
        self._ticker = Ticker(TICK_MS * NS_PER_MS, self._on_tick)

    def lag_ms(self, seconds: float = 1.0) -> float:
        """The largest lag of the last seconds."""
        return max(self._lag_us[-int(seconds * 1000 / TICK_MS) :], default=0) / 1000

    def start(self) -> None:
        """Begin, on the running loop."""
        self._began_ns = monotonic_ns()
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._waited_s = _cpu_wait_s()
        gc.callbacks.append(self._on_gc)
        self._ticker.start()

    def stop(self) -> Health:
        """End, and say what was seen."""
        now_ns = monotonic_ns()
        self._ticker.stop()
        gc.callbacks.remove(self._on_gc)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        waited_s = _cpu_wait_s()
        return Health(
            loop_lag_us=self._lag_us.tolist(),
            cpu_s=usage.ru_utime + usage.ru_stime - self._usage.ru_utime - self._usage.ru_stime,
            wall_s=(now_ns - self._began_ns) / NS_PER_S,
            cpu_wait_s=None if waited_s is None or self._waited_s is None else waited_s - self._waited_s,
            gc_pauses_ms=[pause_ns / NS_PER_MS for pause_ns in self._pauses_ns],
            switched_out=usage.ru_nivcsw - self._usage.ru_nivcsw,
        )

    def _on_tick(self, due_ns: int, now_ns: int) -> None:
        self._lag_us.append((now_ns - due_ns) // 1000)

    def _on_gc(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._gc_began_ns = monotonic_ns()
        elif self._gc_began_ns:
            self._pauses_ns.append(monotonic_ns() - self._gc_began_ns)


def _cpu_wait_s() -> float | None:
    """Time that the main thread has spent on a run queue so far, by the scheduler's own account."""
    try:
        with open("/proc/self/schedstat", encoding="ascii") as stat:
            return int(stat.read().split()[1]) / NS_PER_S
    except (OSError, IndexError):
        return None
