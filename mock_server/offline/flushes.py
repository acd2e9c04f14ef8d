"""Wakes the reader of a stream: every few tokens of a row, and when a row ends."""

from __future__ import annotations

import threading
from collections import Counter

from mock_server.offline.batch import RowRun


class Flushes:
    """The loop's thread calls `note`, and one other thread waits. Changes while nobody waits count as one: a slow
    reader gets the newest state, and nothing accumulates.
    """

    def __init__(self, flush_steps: int) -> None:
        self._flush_steps = flush_steps
        self._changed = threading.Condition()
        self._steps: Counter[int] = Counter()
        self._is_due = False
        self._is_over = False

    def note(self, run: RowRun) -> None:
        with self._changed:
            self._steps[run.number] += 1
            if run.is_finished or self._steps[run.number] >= self._flush_steps:
                self._is_due = True
                self._changed.notify()

    def end(self) -> None:
        """Call this when nothing changes any more."""
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def wait(self) -> bool:
        """Waits for a change. False: there are no more."""
        with self._changed:
            while not self._is_due and not self._is_over:
                self._changed.wait()
            is_due, self._is_due = self._is_due, False
            self._steps.clear()
            return is_due
