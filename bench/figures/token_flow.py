"""Walks through the token events of a run, piece by piece in the order of their arrival. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bench.arrays import Bools, Floats, Ints
from bench.figures.request_table import RequestTable
from bench.figures.sample import Sample
from bench.figures.window import Span
from bench.records.event_rows import Rows, read_rows
from bench.records.moments import Kind
from bench.units import NS_PER_MS

Moments = Callable[[], Iterable[bytes]]
"""Each call returns the moments of a run from their beginning."""

_NONE = -1


class Events(NamedTuple):
    """Token events: the rows of their requests, their arrival, and the time since the previous one.

    The gap is -1 for the first event of a request; it may be too large by `over_ns` and too small by `under_ns`.
    `tokens` is -1 where the number is unknown.
    """

    row: Ints
    ns: Ints
    gap_ns: Ints
    over_ns: Ints
    under_ns: Ints
    tokens: Ints


def walk(requests: RequestTable, moments: Iterable[bytes]) -> Iterator[Events]:
    """The token events of the load, a few hundred thousand at a time. Each piece is ordered by request."""
    row_of = np.full(int(requests.asked.request.max(initial=-1)) + 1, _NONE, dtype=np.int64)
    row_of[requests.asked.request] = np.arange(len(requests))
    last_ns: Ints = np.full(len(requests), _NONE, dtype=np.int64)
    last_doubt: Ints = np.zeros(len(requests), dtype=np.int64)
    for rows in read_rows(moments):
        events = _token_events(rows, requests, row_of)
        if len(events.ns):
            yield _with_gaps(events, last_ns, last_doubt)


def _token_events(rows: Rows, requests: RequestTable, row_of: Ints) -> Rows:
    """The token events of the load among these rows, ordered by request. `request` becomes the row in the table."""
    wanted = (rows.kind >= Kind.VISIBLE) & (rows.kind <= Kind.EMPTY) & (rows.request >= 0)
    wanted &= rows.request < len(row_of)
    picked = Rows(*(column[wanted] for column in rows))
    row = row_of[picked.request]
    counts = (row != _NONE) & ~((picked.kind == Kind.EMPTY) & (requests.counts.dropped[row] > 0))
    order = np.flatnonzero(counts)[np.argsort(row[counts], kind="stable")]
    tokens = np.where(
        requests.counts.one_each[row], 1, np.where(requests.counts.knows_event_tokens[row], picked.tokens, _NONE)
    )
    return Rows(picked.ns[order], row[order], picked.kind[order], picked.doubt_ns[order], tokens[order])


def _with_gaps(events: Rows, last_ns: Ints, last_doubt: Ints) -> Events:
    """The events with their gaps. `last_*` carry the last event of each request over to the next piece."""
    row, ns, doubt = events.request, events.ns, events.doubt_ns
    begins = np.ones(len(row), dtype=np.bool_)
    begins[1:] = row[1:] != row[:-1]
    before_ns, before_doubt = np.empty_like(ns), np.empty_like(doubt)
    before_ns[1:], before_doubt[1:] = ns[:-1], doubt[:-1]
    before_ns[begins], before_doubt[begins] = last_ns[row[begins]], last_doubt[row[begins]]
    ends = np.append(np.flatnonzero(begins)[1:], len(row)) - 1
    last_ns[row[ends]], last_doubt[row[ends]] = ns[ends], doubt[ends]
    gap_ns = np.where(before_ns == _NONE, _NONE, ns - before_ns)
    return Events(row, ns, gap_ns, doubt, before_doubt, events.tokens)


class WindowFlow:
    """Sums up the token events inside one span. `itl` is `icl` itself if every event carried one token."""

    def __init__(self, span: Span, requests: RequestTable) -> None:
        counts = requests.counts
        self.span = span
        self.tokens = 0.0
        self.icl = Sample()
        self.itl = self.icl if counts.one_each[requests.sampled & counts.has_events].all() else Sample()
        self._known = counts.knows_event_tokens
        self._sampled = requests.sampled
        self._served = requests.ok | requests.cancelled  # the server also served what the bench gave up
        self._spread: Floats = counts.tokens / np.maximum(counts.events, 1)

    def add(self, events: Events) -> None:
        """Add events."""
        self.tokens += float(self.served_tokens(events)[1].sum())
        self._add_gaps(self.icl, events, self.counts(events), NS_PER_MS)
        if self.itl is not self.icl:
            wanted = self.counts(events, per_token=True)
            self._add_gaps(self.itl, events, wanted, events.tokens[wanted] * NS_PER_MS)

    def served_tokens(self, events: Events) -> tuple[Bools, Floats]:
        """Which events inside the span delivered tokens, and how many each of these did."""
        served = self._inside(events) & self._served[events.row]
        weights = np.where(events.tokens >= 0, events.tokens, self._spread[events.row])
        return served, weights[served]

    def counts(self, events: Events, *, per_token: bool = False) -> Bools:
        """Which events end a gap in the sample of `itl` (with `per_token`) or of `icl`."""
        wanted: Bools = self._inside(events) & self._sampled[events.row] & (events.gap_ns != _NONE)
        return wanted & self._known[events.row] & (events.tokens > 0) if per_token else wanted

    def _inside(self, events: Events) -> Bools:
        return self.span.contains(events.ns)

    def _add_gaps(self, sample: Sample, events: Events, wanted: Bools, unit: Ints | int) -> None:
        sample.add(events.gap_ns[wanted] / unit, events.over_ns[wanted] / unit, events.under_ns[wanted] / unit)


def flow(requests: RequestTable, moments: Moments, spans: Sequence[Span]) -> list[WindowFlow]:
    """Walk through the events once: sum them up for each span, and add them to the table of requests."""
    windows = [WindowFlow(span, requests) for span in spans]
    for events in walk(requests, moments()):
        for window in windows:
            window.add(events)
        requests.add_events(events.row, events.gap_ns, events.tokens)
    return windows
