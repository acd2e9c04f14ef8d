"""Plans of when to send requests: a closed loop and an open loop. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bench.units import NS_PER_S


class Start(NamedTuple):
    """A request to send: its number, and when the plan wanted it sent (monotonic ns)."""

    request: int
    sched_ns: int


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop sending: after a duration, after a number of requests, or after whichever is reached first."""

    duration_s: float | None = None
    requests: int | None = None


class Plan:
    """What all plans have in common: a start, limits, and an end of sending.

    `stopped_ns` is when sending ended: at the end of the duration, with the last request, or by an interruption.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.begun_ns = 0
        self.stopped_ns: int | None = None
        self.sent = 0
        self._until_ns: float = float("inf")

    def begin(self, now_ns: int) -> None:
        """Start the clock."""
        self.begun_ns = now_ns
        if self.limits.duration_s is not None:
            self._until_ns = now_ns + self.limits.duration_s * NS_PER_S

    def stop(self, now_ns: int) -> None:
        """Send no more requests. The first call counts."""
        if self.stopped_ns is None:
            self.stopped_ns = now_ns

    @property
    def until_ns(self) -> float:
        """When the plan ends at the latest; infinite if only the number of requests ends it."""
        return self._until_ns

    def progress(self, now_ns: int) -> float:
        """The share of the plan that is done, from 0 to 1."""
        shares = [0.0]
        if self.limits.duration_s:
            shares.append((now_ns - self.begun_ns) / (self.limits.duration_s * NS_PER_S))
        if self.limits.requests:
            shares.append(self.sent / self.limits.requests)
        return min(1.0, max(shares)) if self.stopped_ns is None else 1.0


class ClosedLoop(Plan):
    """Has `streams` slots. Each sends its next request as soon as the previous one has ended."""

    def __init__(self, streams: int, limits: Limits) -> None:
        super().__init__(limits)
        self.streams = self.most = streams

    def take(self, free_ns: int, now_ns: int) -> Start | None:
        """The next request of a slot that became free at `free_ns`; None when it should send no more."""
        if self.stopped_ns is not None:
            return None
        if now_ns >= self._until_ns:
            self.stop(int(self._until_ns))
            return None
        start = Start(self.sent, free_ns)
        self.sent += 1
        if self.sent == self.limits.requests:
            self.stop(now_ns)
        return start


class OpenLoop(Plan):
    """Sends requests at predetermined moments, whether or not earlier ones have ended.

    `gaps_s` are the seconds between arrivals; the first request is due at the start. The moments are sums of these gaps
    from the start, so that a late request does not delay the ones after it. `most` limits how many requests may be in
    progress: the others wait, and are late.
    """

    def __init__(self, gaps_s: Iterator[float], limits: Limits, most: int | None = None) -> None:
        super().__init__(limits)
        self.most = most
        self._gaps_s = gaps_s
        self._offset_s = 0.0

    @property
    def due_ns(self) -> int | None:
        """When the next request is due; None when there are no more."""
        if self.stopped_ns is not None:
            return None
        due_ns = self.begun_ns + round(self._offset_s * NS_PER_S)
        return due_ns if due_ns < self._until_ns else None

    def take(self, now_ns: int) -> Start | None:
        """The next request if it is due by now. The plan ends with the last one, at the end of the time it covers."""
        due_ns = self.due_ns
        if due_ns is None or due_ns > now_ns:
            return None
        start = Start(self.sent, due_ns)
        self.sent += 1
        self._offset_s += next(self._gaps_s)
        if self.sent == self.limits.requests:
            self.stop(self.begun_ns + round(self._offset_s * NS_PER_S))  # the time that its requests cover
        elif self.due_ns is None:
            self.stop(int(self._until_ns))
        return start
