"""Wakes all streams that have deltas after an engine's step, in one callback of the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

_READERS_A_LOOK = 4  # looking at the clock
_LONGEST_PASS_S = 0.01
_log = logging.getLogger(__name__)


class Outbox:
    """One for each engine. A callback for each stream and token would cost more than it does."""

    __slots__ = ("_due", "behind")

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []
        self.behind: dict[object, int] = {}
        """How many deltas are waiting in each stream whose client reads too slowly."""

    def add(self, reader: Callable[[], None]) -> None:
        """Wakes the stream in the loop's next pass. Streams wake in the order of these calls."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._tell_all)
        self._due.append(reader)

    def _tell_all(self) -> None:
        """Wakes the streams. If that takes long, the rest wake in the next pass."""
        due, self._due = self._due, []
        began = time.monotonic() if len(due) > _READERS_A_LOOK else 0.0
        for start in range(0, len(due), _READERS_A_LOOK):
            if start and time.monotonic() - began > _LONGEST_PASS_S:
                self._tell_later(due[start:])
                break
            for reader in due[start : start + _READERS_A_LOOK]:
                try:
                    reader()
                except Exception:
                    _log.exception("a reader of the engine failed")

    def _tell_later(self, rest: list[Callable[[], None]]) -> None:
        if not self._due:
            asyncio.get_running_loop().call_soon(self._tell_all)
        self._due[:0] = rest
