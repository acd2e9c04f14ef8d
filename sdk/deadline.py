"""Time limits of one call, as arithmetic on monotonic nanoseconds; who waits reads the next limit from here."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from time import monotonic_ns

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
# Sockets count milliseconds in 32 bits; who sets a limit of weeks wants none.
LONGEST_S = 2_000_000.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds; None, zero or less, or over three weeks is no limit. Raises ConfigError for what is no number.

    `total` covers the whole call with its retries, `connect` one connection, `pool` the wait for a free one,
    `first_byte` from the request sent to the response's first byte, `stall` from one token to the next.
    """

    total: float | None = 1800.0
    connect: float | None = 5.0
    pool: float | None = None
    first_byte: float | None = None
    stall: float | None = None

    def __post_init__(self) -> None:
        for name in ("total", "connect", "pool", "first_byte", "stall"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _seconds(name, value))


def timeouts(given: float | Timeouts | None = None) -> Timeouts:
    """The limits that hold: those given (a number is the total in seconds), else `SDK_TIMEOUT`, else `TIMEOUT`.

    The two environment variables are totals too. Zero or less is no total limit. Raises ConfigError for a value that
    is no number.
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
        raise ConfigError(f"{name}: {value!r} is not a number of seconds") from None
    if math.isnan(seconds):
        raise ConfigError(f"{name}: {value!r} is not a number of seconds")
    return seconds if 0 < seconds <= LONGEST_S else None


_ERRORS: dict[str, tuple[type[RequestTimeoutError], str]] = {
    "pool": (PoolTimeoutError, "no connection of the pool came free within {limit:g} s"),
    "connect": (ConnectTimeoutError, "no connection within {limit:g} s"),
    "first_byte": (FirstByteTimeoutError, "no answer began within {limit:g} s"),
    "stall": (StallTimeoutError, "no token for {limit:g} s"),
    "total": (TotalTimeoutError, "the call took longer than {limit:g} s"),
}


class Deadline:
    """The limits of one call as it goes through its phases: pool, connect, send, first_byte, then stall.

    The transport names each phase as it enters it. `progress` re-arms the stall limit; whoever reads tokens calls
    it, so that comments and keep-alives do not hide a stalled server.
    """

    __slots__ = ("_phase", "_phase_since_ns", "started_ns", "timeouts")

    def __init__(self, timeouts: Timeouts, now_ns: int | None = None) -> None:
        self.timeouts = timeouts
        self.started_ns = monotonic_ns() if now_ns is None else now_ns
        self._phase = "pool"
        self._phase_since_ns = self.started_ns

    def enter(self, phase: str, now_ns: int | None = None) -> None:
        """Begin a phase: "pool", "connect", "send" (which has no limit but the total), "first_byte" or "stall"."""
        self._phase = phase
        self._phase_since_ns = monotonic_ns() if now_ns is None else now_ns

    def progress(self, arrived_ns: int) -> None:
        """A token arrived then."""
        self._phase_since_ns = arrived_ns

    def expires_ns(self) -> float:
        """The moment the nearest limit passes, as monotonic nanoseconds; infinite when nothing limits."""
        phase_s, total_s = getattr(self.timeouts, self._phase, None), self.timeouts.total
        phase_ns = math.inf if phase_s is None else self._phase_since_ns + phase_s * SECOND_NS
        total_ns = math.inf if total_s is None else self.started_ns + total_s * SECOND_NS
        return min(phase_ns, total_ns)

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
        for name, since_ns in (("total", self.started_ns), (self._phase, self._phase_since_ns)):
            limit_s = getattr(self.timeouts, name, None)
            if limit_s is not None and now >= since_ns + limit_s * SECOND_NS:
                return self._error(name, now)
        return None

    def nearest_error(self) -> RequestTimeoutError:
        """The error for the limit that passes next: for a transport whose own clock ran out a moment before ours."""
        total_s, phase_s = self.timeouts.total, getattr(self.timeouts, self._phase, None)
        total_ns = math.inf if total_s is None else self.started_ns + total_s * SECOND_NS
        phase_ns = math.inf if phase_s is None else self._phase_since_ns + phase_s * SECOND_NS
        return self._error(self._phase if phase_ns < total_ns else "total", monotonic_ns())

    def _error(self, name: str, now_ns: int) -> RequestTimeoutError:
        kind, message = _ERRORS[name]
        elapsed_s, limit_s = self.elapsed_s(now_ns), getattr(self.timeouts, name)
        return kind(message.format(limit=elapsed_s if limit_s is None else limit_s), elapsed_s=elapsed_s)
