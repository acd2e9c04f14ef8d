"""The token events of a run, walked through piece by piece in the order in which they arrived. Pure."""

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
"""Gives the moments of a run from their beginning, as often as it is called."""

_NONE = -1


class Events(NamedTuple):
    """Token events: whose they are, when they arrived, the time since the one before (-1 for the first of a request).

    The gap may be too large by `over_ns` and too small by `under_ns`. `tokens` is -1 where nothing tells them.
    """

    row: Ints
    ns: Ints
    gap_ns: Ints
    over_ns: Ints
    under_ns: Ints
    tokens: Ints


def walk(requests: RequestTable, moments: Iterable[bytes]) -> Iterator[Events]:
    """The load's token events, some hundred thousand at a time; within a piece, request by request."""
    row_of = np.full(int(requests.asked.request.max(initial=-1)) + 1, _NONE, dtype=np.int64)
    row_of[requests.asked.request] = np.arange(len(requests))
    last_ns: Ints = np.full(len(requests), _NONE, dtype=np.int64)
    last_doubt: Ints = np.zeros(len(requests), dtype=np.int64)
    for rows in read_rows(moments):
        events = _token_events(rows, requests, row_of)
        if len(events.ns):
            yield _with_gaps(events, last_ns, last_doubt)


def _token_events(rows: Rows, requests: RequestTable, row_of: Ints) -> Rows:
    """The rows that are token events of the load, ordered by request; `request` becomes the row."""
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
    """Their gaps; `last_*` carry each request's last event over from one piece to the next."""
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
    """What the token events inside one span amount to. `itl` is `icl` where every event carried one token."""

    def __init__(self, span: Span, requests: RequestTable) -> None:
        self.span = span
        self.tokens = 0.0
        self.icl = Sample()
        self.itl = (
            self.icl if requests.counts.one_each[requests.sampled & requests.counts.has_events].all() else Sample()
        )
        self._known = requests.counts.knows_event_tokens
        self._sampled = requests.sampled
        self._served = requests.ok | requests.cancelled  # what the bench gave up was served all the same
        self._spread: Floats = requests.counts.tokens / np.maximum(requests.counts.events, 1)

    def add(self, events: Events) -> None:
        """Account for some events."""
        served = self._inside(events) & self._served[events.row]
        weights = np.where(events.tokens >= 0, events.tokens, self._spread[events.row])
        self.tokens += float(weights[served].sum())
        self._add_gaps(self.icl, events, self.counts(events), NS_PER_MS)
        if self.itl is not self.icl:
            wanted = self.counts(events, per_token=True)
            self._add_gaps(self.itl, events, wanted, events.tokens[wanted] * NS_PER_MS)

    def counts(self, events: Events, *, per_token: bool = False) -> Bools:
        """Which events end a gap that is in the sample: of `itl` with `per_token`, else of `icl`."""
        wanted: Bools = self._inside(events) & self._sampled[events.row] & (events.gap_ns != _NONE)
        return wanted & self._known[events.row] & (events.tokens > 0) if per_token else wanted

    def _inside(self, events: Events) -> Bools:
        return self.span.contains(events.ns)

    def _add_gaps(self, sample: Sample, events: Events, wanted: Bools, unit: Ints | int) -> None:
        sample.add(events.gap_ns[wanted] / unit, events.over_ns[wanted] / unit, events.under_ns[wanted] / unit)


def flow(requests: RequestTable, moments: Moments, spans: Sequence[Span]) -> list[WindowFlow]:
    """Walk through the events once: what they amount to in each span, and what they add to the requests."""
    windows = [WindowFlow(span, requests) for span in spans]
    for events in walk(requests, moments()):
        for window in windows:
            window.add(events)
        requests.add_events(events.row, events.gap_ns, events.tokens)
    return windows
