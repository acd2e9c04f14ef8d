"""Whether the records of a run and its moments still belong together: a file may have been cut since. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench.records.event_rows import read_rows
from bench.records.moments import Kind
from bench.records.record import Columns

_TOKEN_KINDS = (Kind.VISIBLE, Kind.HIDDEN, Kind.EMPTY)


def missing_moments(columns: Columns, moments: Iterable[bytes]) -> str | None:
    """What the moments lack of the requests on record, None where they are all there."""
    recorded = np.array(columns.integers["request"], dtype=np.int64)
    ended = tokens = 0
    for rows in read_rows(moments):
        known = np.isin(rows.request, recorded)
        ended += int((known & (rows.kind == Kind.END)).sum())
        tokens += int((known & np.isin(rows.kind, _TOKEN_KINDS)).sum())
    expected = sum(columns.integers["events"]) + sum(columns.integers["dropped"])
    if tokens != expected:
        return f"holds {tokens:,} of the {expected:,} token events of the requests on record"
    if ended != len(recorded):
        return f"holds the ends of {ended:,} of the {len(recorded):,} requests on record"
    return None


def missing_records(columns: Columns, moments: Iterable[bytes]) -> str | None:
    """What the records of a run that came to its end lack of the requests in its moments, None for nothing."""
    recorded = np.array(columns.integers["request"], dtype=np.int64)
    lost = sum(
        int(((rows.kind == Kind.END) & (rows.request >= 0) & ~np.isin(rows.request, recorded)).sum())
        for rows in read_rows(moments)
    )
    return f"lacks {lost:,} of the {lost + len(recorded):,} requests that ended" if lost else None
