"""A load's requests as a table: what is on record of each, and the figures that each has. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bench.arrays import Bools, Floats, Ints
from bench.figures.request_columns import read_asked, read_counts, read_doubts, read_times
from bench.outcome import Outcome
from bench.records.record import OUTCOMES, Columns
from bench.units import NS_PER_MS

_NO_GAP = -1


class Column(NamedTuple):
    """A figure of each request in milliseconds, NaN where a request lacks it.

    Because of the bench itself, each value may be too large by `over` and too small by `under`.
    """

    ms: Floats
    over: Floats
    under: Floats


class RequestTable:
    """One row per request, in groups of columns: `asked`, `times`, `counts` and `doubts`.

    `sampled` are the rows from which figures are taken: the completed ones. If the run was stopped before any request
    had completed (`is_partial`), they are the requests in progress, and the figures describe only their beginnings.

    `counted` is how many tokens the token events of a request carried, as far as that is known. It is filled by
    `add_events`, as is what the figure `max_gap` needs.
    """

    def __init__(self, columns: Columns) -> None:
        self.asked = read_asked(columns)
        self.times = read_times(columns, self.asked.streamed)
        self.counts = read_counts(columns)
        self.doubts = read_doubts(columns)

        self._outcome: Ints = np.array(columns.outcome, dtype=np.int64)
        self.ok: Bools = self.has_outcome(Outcome.OK)
        self.cancelled: Bools = self.has_outcome(Outcome.CANCELLED)
        self.failed: Bools = ~(self.ok | self.cancelled)
        self.completed: Bools = self.ok & (self.counts.has_events | ~self.asked.streamed)
        """Rows that succeeded with something to time: a token event, or a whole body."""
        in_progress = self.cancelled & self.asked.streamed & self.counts.has_events
        self.is_partial = bool(in_progress.any() and not self.completed.any())
        self.sampled: Bools = in_progress if self.is_partial else self.completed

        self.counted: Ints = np.zeros(len(self), dtype=np.int64)
        self.max_gap_ns: Ints = np.full(len(self), _NO_GAP, dtype=np.int64)
        self._figures: dict[str, Column] = {}

    def __len__(self) -> int:
        return len(self._outcome)

    def has_outcome(self, outcome: Outcome) -> Bools:
        """Rows that ended with this outcome."""
        rows: Bools = self._outcome == OUTCOMES.index(outcome)
        return rows

    def add_events(self, row: Ints, gap_ns: Ints, tokens: Ints) -> None:
        """Take in some token events: their rows, the gaps before them, and their tokens (-1 where unknown)."""
        np.maximum.at(self.max_gap_ns, row, gap_ns)
        self.counted += np.bincount(row, weights=np.maximum(tokens, 0), minlength=len(self)).astype(np.int64)
        self._figures.pop("max_gap", None)

    def figure(self, name: str) -> Column:
        """The column of a figure that has one value per request."""
        if name not in self._figures:
            self._figures[name] = COLUMNS[name](self)
        return self._figures[name]


def _ttft(table: RequestTable) -> Column:
    times, doubts = table.times, table.doubts
    wanted = times.was_sent & table.counts.has_events
    return Column(_ms(times.first_ns - times.send_ns, wanted), doubts.first_ns / NS_PER_MS, doubts.send_ns / NS_PER_MS)


def _ttft_sched(table: RequestTable) -> Column:
    times = table.times
    values = _ms(times.first_ns - times.sched_ns, table.counts.has_events)
    return Column(values, table.doubts.first_ns / NS_PER_MS, np.zeros(len(table)))


def _ttfv(table: RequestTable) -> Column:
    times, doubts = table.times, table.doubts
    values = _ms(times.visible_ns - times.send_ns, times.was_sent & (times.visible_ns >= 0))
    return Column(values, doubts.first_ns / NS_PER_MS, doubts.send_ns / NS_PER_MS)


def _tpot(table: RequestTable) -> Column:
    """Without usage the tokens are not known, and an answer in progress has no last one."""
    counts, times, doubts = table.counts, table.times, table.doubts
    later: Ints = counts.tokens - counts.first_tokens
    rows = table.ok & (counts.usage_tokens >= 0) & (later > 0) & (counts.events > 1)
    unit = later[rows] * NS_PER_MS
    found = Column(np.full(len(table), np.nan), np.zeros(len(table)), np.zeros(len(table)))
    found.ms[rows] = (times.last_ns - times.first_ns)[rows] / unit
    found.over[rows] = doubts.last_ns[rows] / unit
    found.under[rows] = doubts.first_ns[rows] / unit
    return found


def _e2e(table: RequestTable) -> Column:
    times, doubts = table.times, table.doubts
    timed = times.was_sent & (table.counts.has_events | (~table.asked.streamed & table.ok))
    return Column(_ms(times.last_ns - times.send_ns, timed), doubts.last_ns / NS_PER_MS, doubts.send_ns / NS_PER_MS)


def _max_gap(table: RequestTable) -> Column:
    doubt = np.maximum(table.doubts.first_ns, table.doubts.last_ns) / NS_PER_MS
    return Column(_ms(table.max_gap_ns, table.max_gap_ns != _NO_GAP), doubt, doubt)


def _lateness(table: RequestTable) -> Column:
    times = table.times
    values = _ms(times.send_ns - times.sched_ns, times.was_sent)
    return Column(values, table.doubts.send_ns / NS_PER_MS, np.zeros(len(table)))


COLUMNS: dict[str, Callable[[RequestTable], Column]] = {
    "ttft": _ttft,
    "ttft_sched": _ttft_sched,
    "ttfv": _ttfv,
    "tpot": _tpot,
    "e2e": _e2e,
    "max_gap": _max_gap,
    "lateness": _lateness,
}
"""How each figure with one value per request is computed, by its name in the catalogue."""


def total(reported: Ints) -> int | None:
    """The sum of a column, or None if the server did not report every value."""
    return int(reported.sum()) if len(reported) and (reported >= 0).all() else None


def _ms(spans_ns: Ints, where: Bools) -> Floats:
    return np.where(where, spans_ns / NS_PER_MS, np.nan)
