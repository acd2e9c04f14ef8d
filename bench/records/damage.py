"""Checks whether the records and the moments of a run still match: a file may have been truncated. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench.records.event_rows import read_rows
from bench.records.moments import Kind
from bench.records.record import Columns

_TOKEN_KINDS = (Kind.VISIBLE, Kind.HIDDEN, Kind.EMPTY)


def missing_moments(columns: Columns, moments: Iterable[bytes]) -> str | None:
    """What the moments of the recorded requests lack; None if they are complete."""
    recorded = np.array(columns.integers["request"], dtype=np.int64)
    ended = tokens = 0
    for rows in read_rows(moments):
        known = np.isin(rows.request, recorded)
        ended += int((known & (rows.kind == Kind.END)).sum())
        tokens += int((known & np.isin(rows.kind, _TOKEN_KINDS)).sum())
    expected = sum(columns.integers["events"]) + sum(columns.integers["dropped"])
    if tokens != expected:
        return f"holds {tokens:,} of the {expected:,} token events of the recorded requests"
    if ended != len(recorded):
        return f"holds the ends of {ended:,} of the {len(recorded):,} recorded requests"
    return None


def missing_records(columns: Columns, moments: Iterable[bytes]) -> str | None:
    """What the records of a finished run lack of the requests in its moments; None if they are complete."""
    recorded = np.array(columns.integers["request"], dtype=np.int64)
    lost = sum(
        int(((rows.kind == Kind.END) & (rows.request >= 0) & ~np.isin(rows.request, recorded)).sum())
        for rows in read_rows(moments)
    )
    return f"lacks {lost:,} of the {lost + len(recorded):,} requests that ended" if lost else None
