"""Gives each request in progress of an open loop the number of a slot, up to a limit. Pure."""

from __future__ import annotations

import heapq
from collections import deque

from bench.load.plan import Start


class Slots:
    """Numbers requests in progress, lowest free number first. `most` limits how many there may be, None does not."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._free: list[int] = []
        self._used = 0
        self._waiting: deque[Start] = deque()

    def enter(self, start: Start) -> int | None:
        """The slot for a request that is due; None if it has to wait for one."""
        if self._free:
            return heapq.heappop(self._free)
        if self._most is not None and self._used >= self._most:
            self._waiting.append(start)
            return None
        self._used += 1
        return self._used - 1

    def leave(self, slot: int, *, stop: bool = False) -> Start | None:
        """A request has ended. Returns the request that has waited longest, which takes its slot; with `stop`, None."""
        if stop:
            self._waiting.clear()
        if self._waiting:
            return self._waiting.popleft()
        heapq.heappush(self._free, slot)
        return None
