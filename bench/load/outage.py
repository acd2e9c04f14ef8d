"""How long the bench goes on sending while no request is answered. Pure, time is given."""

from __future__ import annotations

from bench.units import NS_PER_S

DEFAULT_GIVE_UP_AFTER_S = 10.0


class Outage:
    """A series of requests without any answer. It is over as soon as one is answered."""

    __slots__ = ("_limit_ns", "since_ns")

    def __init__(self, give_up_after_s: float) -> None:
        self._limit_ns = round(give_up_after_s * NS_PER_S)
        self.since_ns: int | None = None

    def end(self) -> None:
        """A request was answered."""
        self.since_ns = None

    def lasts_too_long(self, now_ns: int) -> bool:
        """A request was not answered. Returns whether this has lasted for the whole limit."""
        if self.since_ns is None:
            self.since_ns = now_ns
        return now_ns - self.since_ns >= self._limit_ns
