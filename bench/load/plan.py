"""When to send what: a plan hands out the starts of requests and says when there are no more. Pure, time is given."""

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
    """When to stop sending: after so many seconds, so many requests, or whichever comes first."""

    duration_s: float | None = None
    requests: int | None = None


class Plan:
    """What all plans have in common: a begin, limits, and an end of sending.

    `stopped_ns` is when sending ended: the end of the duration, the last start of a count, or an interruption.
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
        """Send no more; the first call counts."""
        if self.stopped_ns is None:
            self.stopped_ns = now_ns

    @property
    def until_ns(self) -> float:
        """When the plan ends at the latest; infinite where it ends with a number of requests."""
        return self._until_ns

    def progress(self, now_ns: int) -> float:
        """The share of the plan that is behind us, from 0 to 1."""
        shares = [0.0]
        if self.limits.duration_s:
            shares.append((now_ns - self.begun_ns) / (self.limits.duration_s * NS_PER_S))
        if self.limits.requests:
            shares.append(self.sent / self.limits.requests)
        return min(1.0, max(shares)) if self.stopped_ns is None else 1.0


class ClosedLoop(Plan):
    """`streams` slots, each sending its next request as soon as its last one has ended."""

    def __init__(self, streams: int, limits: Limits) -> None:
        super().__init__(limits)
        self.streams = self.most = streams

    def take(self, free_ns: int, now_ns: int) -> Start | None:
        """The next request of a slot that came free at `free_ns`, or None when it shall send no more."""
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
    """Requests at moments drawn beforehand, whatever became of the earlier ones.

    `gaps_s` are the seconds between arrivals; the first is at the beginning. The moments add up from there in whole
    nanoseconds, so that nothing that happens on the way moves the later ones. `most` is how many may be under way at
    once, if there is a limit: those beyond wait, and are late.
    """

    def __init__(self, gaps_s: Iterator[float], limits: Limits, most: int | None = None) -> None:
        super().__init__(limits)
        self.most = most
        self._gaps_s = gaps_s
        self._offset_s = 0.0

    @property
    def due_ns(self) -> int | None:
        """When the next request is to be sent; None when there is none any more."""
        if self.stopped_ns is not None:
            return None
        due_ns = self.begun_ns + round(self._offset_s * NS_PER_S)
        return due_ns if due_ns < self._until_ns else None

    def take(self, now_ns: int) -> Start | None:
        """The next request if it is due by now. The plan ends with the last one, at the time up to which it lasts."""
        due_ns = self.due_ns
        if due_ns is None or due_ns > now_ns:
            return None
        start = Start(self.sent, due_ns)
        self.sent += 1
        self._offset_s += next(self._gaps_s)
        if self.sent == self.limits.requests:
            self.stop(self.begun_ns + round(self._offset_s * NS_PER_S))  # as long as its requests stand for
        elif self.due_ns is None:
            self.stop(int(self._until_ns))
        return start
