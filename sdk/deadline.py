"""Time limits of one call, as arithmetic on monotonic nanoseconds; code that waits asks here for how long."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Literal

from sdk.errors import (
    ConfigError,
    ConnectTimeoutError,
    FirstByteTimeoutError,
    PoolTimeoutError,
    RequestTimeoutError,
    StallTimeoutError,
    TotalTimeoutError,
)

SECOND_NS = 1_000_000_000
# Sockets count milliseconds in 32 bits, and a limit of several weeks means none.
LONGEST_S = 2_000_000.0
# The usage and [DONE] may follow the last finish reason; servers send them immediately or not at all.
AFTER_FINISH_S = 2.0

Phase = Literal["pool", "connect", "send", "first_byte", "stall", "finish"]
Limit = Phase | Literal["total"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds. None, zero or less, or over three weeks means no limit. Raises ConfigError for non-numbers.

    `total` covers the whole call with its retries, `connect` one connection, `pool` the wait for a free one,
    `first_byte` the time from the end of the request to the start of the response, `stall` from one token to the next.
    """

    total: float | None = 1800.0
    connect: float | None = 5.0
    pool: float | None = None
    first_byte: float | None = None
    stall: float | None = None
    _limits_ns: dict[Limit, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        limits_ns: dict[Limit, float] = {"send": math.inf, "finish": AFTER_FINISH_S * SECOND_NS}
        names: tuple[Limit, ...] = ("total", "connect", "pool", "first_byte", "stall")
        for name in names:
            seconds = getattr(self, name)
            if seconds is not None:
                seconds = _seconds(name, seconds)
                object.__setattr__(self, name, seconds)
            limits_ns[name] = math.inf if seconds is None else seconds * SECOND_NS
        object.__setattr__(self, "_limits_ns", limits_ns)

    def limit_ns(self, name: Limit) -> float:
        """A limit in nanoseconds, infinite if there is none. "send" has no limit; that of "finish" is fixed."""
        return self._limits_ns[name]


def timeouts(given: float | Timeouts | None = None) -> Timeouts:
    """The limits that apply: the given ones (a number is the total in seconds), else `SDK_TIMEOUT`, else `TIMEOUT`.

    The two environment variables are totals too. Zero or less means no total limit. Raises ConfigError for a value
    that is not a number.
    """
    if isinstance(given, Timeouts):
        return given
    if given is not None:
        return Timeouts(total=_seconds("timeout", given))
    for name in ("SDK_TIMEOUT", "TIMEOUT"):
        if text := os.environ.get(name):
            return Timeouts(total=_seconds(name, text))
    return Timeouts()


def _seconds(name: str, value: float | str) -> float | None:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{value!r} is not a number of seconds", field=name) from None
    if math.isnan(seconds):
        raise ConfigError(f"{value!r} is not a number of seconds", field=name)
    return seconds if 0 < seconds <= LONGEST_S else None


_ERRORS: dict[Limit, tuple[type[RequestTimeoutError], str]] = {
    "pool": (PoolTimeoutError, "no connection in the pool became free within {limit:g} s"),
    "connect": (ConnectTimeoutError, "no connection within {limit:g} s"),
    "first_byte": (FirstByteTimeoutError, "no answer began within {limit:g} s"),
    "stall": (StallTimeoutError, "no token arrived for {limit:g} s"),
    "finish": (StallTimeoutError, "nothing arrived for {limit:g} s after the last finish reason"),
    "total": (TotalTimeoutError, "the call took longer than {limit:g} s"),
}


class Deadline:
    """The limits of one call as it goes through its phases: pool, connect, send, first_byte, stall, finish.

    The transport enters each phase up to "stall". `progress` restarts the stall limit; the reader of the tokens calls
    it, so that comments and keep-alives do not hide a stalled server. The stream enters "finish" when every choice has
    its finish reason: the wait for what may follow is never longer than `AFTER_FINISH_S`.

    `watcher` is called when a phase begins, because its limit may be nearer than the one that a wait uses.
    """

    __slots__ = ("_limit_ns", "_phase", "_phase_since_ns", "_total_ns", "started_ns", "timeouts", "watcher")

    def __init__(self, timeouts: Timeouts, now_ns: int | None = None) -> None:
        self.timeouts: Timeouts = timeouts
        self.started_ns: int = monotonic_ns() if now_ns is None else now_ns
        self.watcher: Callable[[], None] | None = None
        self._total_ns = self.started_ns + timeouts.limit_ns("total")
        self.enter("pool", self.started_ns)

    def enter(self, phase: Phase, now_ns: int | None = None) -> None:
        """Begin a phase. Only the total limits "send"."""
        self._phase: Phase = phase
        self._phase_since_ns = monotonic_ns() if now_ns is None else now_ns
        self._limit_ns = self.timeouts.limit_ns(phase)
        if self.watcher is not None:
            self.watcher()

    @property
    def is_finishing(self) -> bool:
        """Whether every choice has finished, so that the answer is complete even if nothing more arrives."""
        return self._phase == "finish"

    @property
    def awaits_answer(self) -> bool:
        """Whether the request is sent, so that an answer may have arrived in time and not be read yet."""
        return self._phase in ("first_byte", "stall", "finish")

    def progress(self, arrived_ns: int) -> None:
        """Note that a token arrived."""
        if self._phase != "finish":
            self._phase_since_ns = arrived_ns

    def expires_ns(self) -> float:
        """The moment the nearest limit passes, as monotonic nanoseconds; infinite when nothing limits."""
        return min(self._phase_since_ns + self._limit_ns, self._total_ns)

    def remaining_s(self, now_ns: int | None = None) -> float | None:
        """Seconds until the nearest limit passes (0 when it has), None when nothing limits."""
        expires_ns = self.expires_ns()
        if expires_ns == math.inf:
            return None
        return max(0.0, (expires_ns - (monotonic_ns() if now_ns is None else now_ns)) / SECOND_NS)

    def total_left_s(self, now_ns: int | None = None) -> float | None:
        """Seconds until the total limit passes (0 when it has), None without one."""
        total_s = self.timeouts.total
        return None if total_s is None else max(0.0, total_s - self.elapsed_s(now_ns))

    def elapsed_s(self, now_ns: int | None = None) -> float:
        """Seconds since the call began."""
        return ((monotonic_ns() if now_ns is None else now_ns) - self.started_ns) / SECOND_NS

    def error(self, now_ns: int | None = None) -> RequestTimeoutError | None:
        """The error for the limit that has passed, or None while none has."""
        now = monotonic_ns() if now_ns is None else now_ns
        if now >= self._total_ns:
            return self._error("total", now)
        return self._error(self._phase, now) if now >= self._phase_since_ns + self._limit_ns else None

    def late_error(self) -> RequestTimeoutError:
        """The error for the limit that ended a wait, even if the clock of the wait is a moment ahead of ours."""
        return self.error() or self.nearest_error()

    def nearest_error(self) -> RequestTimeoutError:
        """The error for the limit that passes next, for a transport whose own clock is a moment ahead of ours."""
        is_phase = self._phase_since_ns + self._limit_ns < self._total_ns
        return self._error(self._phase if is_phase else "total", monotonic_ns())

    def _error(self, name: Limit, now_ns: int) -> RequestTimeoutError:
        kind, message = _ERRORS[name]
        elapsed_s, limit_ns = self.elapsed_s(now_ns), self.timeouts.limit_ns(name)
        return kind(
            message.format(limit=elapsed_s if limit_ns == math.inf else limit_ns / SECOND_NS), elapsed_s=elapsed_s
        )
