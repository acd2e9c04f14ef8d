"""The connections of one server: how many there may be, and which one makes room for a new one.

A connection is half-open until its first head is complete, and again while a later head is incomplete. It waits for its
client while it is idle, while a body is incomplete, and while an answer is not being read. Otherwise it is busy.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

_GRACE_S = 1.0  # in a burst of well-behaved clients, all connections are half-open for a moment
_PAUSE_S = 10.0
_LOG_INTERVAL_S = 5.0
MOST_UNREAD_BYTES = 64 * 1024 * 1024
MOST_HEAD_BYTES = 32 * 1024 * 1024
_log = logging.getLogger(__name__)


class AcceptedConnection(Protocol):
    """A connection that the server can drop."""

    def drop(self) -> None:
        """Closes it immediately, without an answer."""

    def unread_bytes(self) -> int:
        """The size of the answers that the client has not read."""


class RareWarning:
    """Logs a warning at most once every few seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._logged_at = -_LOG_INTERVAL_S
        self._not_logged = 0

    def log(self, message: str) -> None:
        self._not_logged += 1
        now = self._now()
        if now - self._logged_at >= _LOG_INTERVAL_S:
            times = f" ({self._not_logged} times)" if self._not_logged > 1 else ""
            _log.warning("%s%s", message, times)
            self._logged_at, self._not_logged = now, 0


class Connections:
    """At most `most` in total and `most_half_open` half-open ones; 0: no limit."""

    def __init__(self, most: int = 0, most_half_open: int = 0, *, now: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._most_half_open = most_half_open
        self._now = now
        self._open: set[AcceptedConnection] = set()
        # not plain dictionaries: in these, finding the first entry gets slower as earlier entries are deleted
        self._half_open: OrderedDict[AcceptedConnection, float] = OrderedDict()
        self._waiting: OrderedDict[AcceptedConnection, float] = OrderedDict()
        self._heads: dict[AcceptedConnection, int] = {}
        """Bytes of incomplete heads, in the order in which they began."""
        self._head_bytes = 0
        self._unread: dict[AcceptedConnection, float] = {}
        self._is_watching = False
        self._warning = RareWarning(now)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: AcceptedConnection) -> bool:
        """Adds a half-open connection, and makes room for it. Returns False if all others are busy."""
        if self._most and len(self._open) >= self._most:
            oldest = self._oldest()
            if oldest is None:
                self._warning.log(
                    f"all {self._most} connections (--max-connections) are busy: a new one was refused with a 503"
                )
                return False
            self._warning.log(
                f"all {self._most} connections (--max-connections) are in use: the one that had waited longest for its"
                " client was dropped"
            )
            self._drop(oldest)
        elif self._most_half_open and len(self._half_open) >= self._most_half_open:
            oldest, since = next(iter(self._half_open.items()))
            if self._now() - since >= _GRACE_S:
                self._warning.log(
                    f"{self._most_half_open} connections (--max-half-open) have sent no complete request: the oldest"
                    " was dropped"
                )
                self._drop(oldest)
        self._open.add(connection)
        self._half_open[connection] = self._now()
        return True

    def _oldest(self) -> AcceptedConnection | None:
        half_open, since = next(iter(self._half_open.items()), (None, 0.0))
        waiting = next(iter(self._waiting), None)
        is_stale = half_open is not None and self._now() - since >= _GRACE_S
        return half_open if is_stale or waiting is None else waiting

    def mark_half_open(self, connection: AcceptedConnection) -> None:
        if connection not in self._half_open and connection in self._open:
            self._waiting.pop(connection, None)
            self._half_open[connection] = self._now()

    def mark_waiting(self, connection: AcceptedConnection) -> None:
        if connection not in self._waiting and connection in self._open:
            self._half_open.pop(connection, None)
            self._waiting[connection] = self._now()

    def mark_busy(self, connection: AcceptedConnection) -> None:
        self._half_open.pop(connection, None)
        self._waiting.pop(connection, None)

    def remove(self, connection: AcceptedConnection) -> None:
        self._open.discard(connection)
        self._unread.pop(connection, None)
        self.mark_head_complete(connection)
        self.mark_busy(connection)

    def mark_head(self, connection: AcceptedConnection, size: int, most_bytes: int = MOST_HEAD_BYTES) -> None:
        """Reports the bytes received of an incomplete head. If all heads together are too large, drops the oldest."""
        if connection not in self._open:
            return
        self._head_bytes += size - self._heads.get(connection, 0)
        self._heads[connection] = size
        while self._head_bytes > most_bytes:
            self._warning.log(f"incomplete request heads took more than {most_bytes} bytes: the oldest was dropped")
            self._drop(next(iter(self._heads)))

    def mark_head_complete(self, connection: AcceptedConnection) -> None:
        """Reports that its head is complete."""
        self._head_bytes -= self._heads.pop(connection, 0)

    def mark_unread(self, connection: AcceptedConnection) -> bool:
        """Reports that its client is not reading. Returns whether the caller must schedule `bound_unread`."""
        if connection in self._open:
            self._unread[connection] = self._now()
        is_first, self._is_watching = not self._is_watching, True
        return is_first

    def mark_read(self, connection: AcceptedConnection) -> None:
        self._unread.pop(connection, None)

    def bound_unread(self, most_bytes: int = MOST_UNREAD_BYTES) -> bool:
        """Drops the connections that have not read for longest, until at most `most_bytes` are unread.

        Returns whether to call it again. One connection always stays: a single answer may be larger than the limit.
        """
        sizes = {connection: connection.unread_bytes() for connection in self._unread}
        total = sum(sizes.values())
        for connection in list(sizes)[:-1]:
            if total <= most_bytes:
                break
            total -= sizes[connection]
            self._warning.log(f"clients left more than {most_bytes} bytes of answers unread: a connection was dropped")
            self._drop(connection)
        self._is_watching = bool(self._unread)
        return self._is_watching

    def drop_longest_unread(self) -> None:
        """Frees what its answer holds for other requests. Spares a client that has paused for a few seconds only."""
        connection, since = next(iter(self._unread.items()), (None, 0.0))
        if connection is not None and self._now() - since >= _PAUSE_S:
            self._warning.log("a client left its answer unread while others were refused: its connection was dropped")
            self._drop(connection)

    def _drop(self, connection: AcceptedConnection) -> None:
        self.remove(connection)
        connection.drop()
