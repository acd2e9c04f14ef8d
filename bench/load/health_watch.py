"""Watches the bench while it measures: its lag, CPU time and garbage collection, and what its wire observed."""

from __future__ import annotations

import gc
import resource
from collections import deque
from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from bench.records.health import Health
from bench.records.lags import LagCounter
from bench.units import NS_PER_MS, NS_PER_S
from streamgauge.timers import Ticker

if TYPE_CHECKING:
    from bench.wire.base import Wire

TICK_MS = 10


class HealthWatch:
    """Watches from `start` to `stop`, and calls `on_tick` a hundred times a second in between."""

    def __init__(self, wire: Wire, on_tick: Callable[[], None] = lambda: None) -> None:
        self._wire = wire
        self._also = on_tick
        self._lags = LagCounter()
        self._latest: deque[int] = deque(maxlen=1000 // TICK_MS)
        self._pauses_ns: list[int] = []
        self._gc_began_ns = 0
        self._began_ns = 0
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._waited_s: float | None = None
        self._ticker = Ticker(TICK_MS * NS_PER_MS, self._on_lag, self._on_tick)

    def lag_ms(self) -> float:
        """The largest lag of the last second."""
        return max(self._latest, default=0) / NS_PER_MS

    def start(self) -> None:
        """Start, on the running loop."""
        self._began_ns = monotonic_ns()
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._waited_s = _cpu_wait_s()
        self._wire.watch.begin()
        gc.callbacks.append(self._on_gc)
        self._ticker.start()

    def stop(self) -> Health:
        """Stop, and return what was observed."""
        now_ns = monotonic_ns()
        self._ticker.stop()
        gc.callbacks.remove(self._on_gc)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        waited_s = _cpu_wait_s()
        return Health(
            loop_lag=self._lags.lags(),
            cpu_s=usage.ru_utime + usage.ru_stime - self._usage.ru_utime - self._usage.ru_stime,
            wall_s=(now_ns - self._began_ns) / NS_PER_S,
            cpu_wait_s=None if waited_s is None or self._waited_s is None else waited_s - self._waited_s,
            gc_pauses=len(self._pauses_ns),
            gc_pause_max_ms=max(self._pauses_ns, default=0) / NS_PER_MS,
            gc_pause_sum_ms=sum(self._pauses_ns) / NS_PER_MS,
            switched_out=usage.ru_nivcsw - self._usage.ru_nivcsw,
            peak_mb=_peak_mb(),
            wire=self._wire.health(),
        )

    def _on_lag(self, due_ns: int, now_ns: int) -> None:
        self._lags.add(now_ns - due_ns)
        self._latest.append(now_ns - due_ns)

    def _on_tick(self) -> None:
        self._wire.refresh()
        self._also()

    def _on_gc(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._gc_began_ns = monotonic_ns()
        elif self._gc_began_ns:
            self._pauses_ns.append(monotonic_ns() - self._gc_began_ns)


def _cpu_wait_s() -> float | None:
    """How long the main thread has waited on a run queue so far, as reported by the scheduler."""
    try:
        with open("/proc/self/schedstat", encoding="ascii") as stat:
            return int(stat.read().split()[1]) / NS_PER_S
    except (OSError, IndexError):
        return None


def _peak_mb() -> float | None:
    """The largest resident memory of the process so far."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) / 1024
