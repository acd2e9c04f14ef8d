"""Which request of an open loop travels in which lane: as many lanes as are needed at once, up to a limit. Pure."""

from __future__ import annotations

import heapq
from collections import deque

from bench.load.plan import Start


class Lanes:
    """Numbers requests under way, lowest free number first; `most` is how many there may be, None for no limit."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._free: list[int] = []
        self._used = 0
        self._waiting: deque[Start] = deque()

    def enter(self, start: Start) -> int | None:
        """The lane for a request that is due; None where it has to wait for one."""
        if self._free:
            return heapq.heappop(self._free)
        if self._most is not None and self._used >= self._most:
            self._waiting.append(start)
            return None
        self._used += 1
        return self._used - 1

    def leave(self, lane: int, *, stop: bool = False) -> Start | None:
        """A request has ended: the one that has waited longest takes its lane. With `stop` nobody does any more."""
        if stop:
            self._waiting.clear()
        if self._waiting:
            return self._waiting.popleft()
        heapq.heappush(self._free, lane)
        return None
