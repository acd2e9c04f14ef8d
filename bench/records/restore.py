"""Restores the requests that a killed bench had in progress from their moments. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench.arrays import Ints
from bench.outcome import Outcome
from bench.records.event_rows import Rows, read_rows
from bench.records.moments import Kind
from bench.records.record import LOAD, OUTCOMES, UNKNOWN, Columns, Record

_TOKEN_KINDS = (Kind.VISIBLE, Kind.HIDDEN, Kind.EMPTY)


def restore(columns: Columns, moments: Iterable[bytes]) -> int:
    """Add a row for each request that has moments but no record, and return how many there were.

    A request that had not ended counts as given up, with the tokens that had arrived.
    """
    recorded = np.array(columns.integers["request"], dtype=np.int64)
    open_requests: dict[int, Record] = {}
    for rows in read_rows(moments):
        for ns, request, kind, doubt_ns, tokens in _unrecorded(rows, recorded):
            if request not in open_requests:
                open_requests[request] = Record(
                    request=request, phase=LOAD, sched_ns=ns, end_ns=ns, outcome=Outcome.CANCELLED
                )
            _add(open_requests[request], ns, Kind(kind), doubt_ns, tokens)
    for record in open_requests.values():
        columns.append(record)
    return len(open_requests)


def _unrecorded(rows: Rows, recorded: Ints) -> Iterable[tuple[int, int, int, int, int]]:
    wanted = (rows.request >= 0) & ~np.isin(rows.request, recorded)
    return zip(*(column[wanted].tolist() for column in rows), strict=True)


def _add(record: Record, ns: int, kind: Kind, doubt_ns: int, tokens: int) -> None:
    record.end_ns = ns
    if kind is Kind.SEND:
        record.send_ns = ns
    elif kind is Kind.HEAD:
        record.head_ns = ns
    elif kind is Kind.END:
        record.outcome = OUTCOMES[tokens]
    elif kind in _TOKEN_KINDS:
        if record.first_ns is None:
            record.first_ns, record.first_doubt_ns = ns, doubt_ns
            record.first_tokens = None if tokens == UNKNOWN else tokens
            record.event_tokens = None if tokens == UNKNOWN else "told"
        if kind is Kind.VISIBLE and record.visible_ns is None:
            record.visible_ns = ns
        record.last_ns, record.last_doubt_ns = ns, doubt_ns
        if tokens == UNKNOWN:
            record.event_tokens = None
        record.events += 1
        record.empty += kind is Kind.EMPTY
        if tokens > 0:
            record.completion_tokens = (record.completion_tokens or 0) + tokens
