"""The client's own state during a load, as run.json keeps it: lag, CPU time, and what the connections saw."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.records.lags import Lags


class WireHealth(msgspec.Struct, kw_only=True):
    """What the connections saw of themselves.

    `stamps` says who stamped arrivals: the kernel, or the bench at each read. `read_lag` is how long bytes then waited
    to be read. `unstamped_reads` came without a stamp that could be believed. `clock_error_ms` bounds the error of
    turning the kernel's clock into ours, `clock_steps_ms` are moments at which the system's clock was set.
    `retransmits` are segments sent again, either way. What only the kernel's stamps tell is null without them.
    """

    stamps: Literal["kernel", "read"]
    read_lag: Lags | None = None
    unstamped_reads: int | None = None
    clock_error_ms: float | None = None
    clock_steps_ms: list[float] = []
    retransmits: int | None = None


class Health(msgspec.Struct, kw_only=True):
    """The client's own state during the load.

    `loop_lag` has one sample for every 10 ms: how long work that was due then had to wait. `cpu_s` is CPU time of the
    process (all threads), `wall_s` the time it is set against, `cpu_wait_s` how long it was ready to run and another
    process had the core (null off Linux). `gc_pauses` are the garbage collector's, the largest and the sum in
    milliseconds; `switched_out` counts involuntary context switches. `peak_mb` is the most memory it has had so far.
    """

    loop_lag: Lags
    cpu_s: float = 0.0
    wall_s: float = 0.0
    cpu_wait_s: float | None = None
    gc_pauses: int = 0
    gc_pause_max_ms: float = 0.0
    gc_pause_sum_ms: float = 0.0
    switched_out: int = 0
    peak_mb: float | None = None
    wire: WireHealth
