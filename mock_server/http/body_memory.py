"""A limit on the memory that all bodies take while they are received and parsed."""

from __future__ import annotations

import time
from collections.abc import Callable

from mock_server.errors import bodies_full

SMALL = 16 * 1024
"""Bodies up to this size are always received: the number of connections limits their memory."""
_GRACE_S = 5.0


class BodyShare:
    """The memory of one body. `release` gives it back."""

    __slots__ = ("_memory", "began", "give_up", "is_given_up", "size")

    def __init__(self, memory: BodyMemory, began: float, give_up: Callable[[], None]) -> None:
        self._memory = memory
        self.began = began
        self.give_up = give_up
        self.is_given_up = False
        self.size = 0

    def grow(self, size: int) -> None:
        """Reports the body's current size. Raises a 503 `ApiError` if there is no room for it."""
        if size > SMALL:
            self._memory.take(self, size)

    def complete(self) -> None:
        """Reports that the body has been received: it is no longer given up for others."""
        self._memory.receiving.pop(self, None)

    def release(self) -> None:
        self._memory.give_back(self)


class BodyMemory:
    """Up to `most` bytes. If a body needs more, the body that has been incomplete for longest is given up, unless it
    began only seconds ago. In that case the body that needs more is refused.
    """

    def __init__(self, most: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._now = now
        self._used = 0
        self.receiving: dict[BodyShare, None] = {}
        """Incomplete bodies larger than `SMALL`, the oldest first."""

    @property
    def used(self) -> int:
        return self._used

    def share(self, give_up: Callable[[], None]) -> BodyShare:
        """A share for a new body. `give_up` is called to stop receiving it."""
        return BodyShare(self, self._now(), give_up)

    def take(self, share: BodyShare, size: int) -> None:
        if share.is_given_up:
            return
        while self._used + size - share.size > self._most:
            oldest = next(iter(self.receiving), None)
            if oldest is None or oldest is share or self._now() - oldest.began < _GRACE_S:
                raise bodies_full(self._most)
            self.give_back(oldest)
            oldest.is_given_up = True
            oldest.give_up()
        self.receiving.setdefault(share)
        self._used += size - share.size
        share.size = size

    def give_back(self, share: BodyShare) -> None:
        self.receiving.pop(share, None)
        self._used -= share.size
        share.size = 0
