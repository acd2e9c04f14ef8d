"""Requests made by hand, each with its token events: times in milliseconds from the start of the load."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, NamedTuple

from bench.outcome import Outcome
from bench.records.moments import DOUBT_SHIFT, KIND_SHIFT, REQUEST_SHIFT, UNKNOWN_TOKENS, Kind, MomentLog, doubt_code
from bench.records.record import LOAD, Columns, Record

MS = 1_000_000
T0 = 1_000_000 * MS  # a monotonic clock does not begin at zero


def ms(moment: float) -> int:
    """A moment of the load as a stamp."""
    return T0 + round(moment * MS)


class Row(NamedTuple):
    """A record and the token events that belong to it: stamp, kind, tokens (None for not told), doubt in ms."""

    record: Record
    events: list[tuple[int, Kind, int | None, float]]


def row(
    request: int,
    send: float,
    arrivals: list[float],
    *,
    sched: float | None = None,
    end: float | None = None,
    outcome: Outcome = Outcome.OK,
    tokens: int | list[int] | None = 1,
    kinds: list[Kind] | None = None,
    doubts: list[float] | None = None,
    **fields: Any,
) -> Row:
    """One request sent at `send`, with token arrivals at `arrivals`, all counted from the start of the load.

    `tokens` is 1 for one each, a list for what usage told with each event, None where nothing tells.
    """
    known = sum(tokens) if isinstance(tokens, list) else len(arrivals) if tokens == 1 else None
    told = tokens if isinstance(tokens, list) else [tokens] * len(arrivals)
    kinds = kinds or [Kind.VISIBLE] * len(arrivals)
    doubts = doubts or [0.0] * len(arrivals)
    visible = next((event for event, kind in zip(arrivals, kinds, strict=True) if kind is Kind.VISIBLE), None)
    record = Record(
        request=request,
        phase=LOAD,
        sched_ns=ms(send if sched is None else sched),
        end_ns=ms((arrivals[-1] if arrivals else send) if end is None else end),
        outcome=outcome,
        **{
            "send_ns": ms(send),
            "head_ns": ms(send),
            "first_ns": ms(arrivals[0]) if arrivals else None,
            "first_doubt_ns": round(doubts[0] * MS) if arrivals else 0,
            "visible_ns": None if visible is None else ms(visible),
            "last_ns": ms(arrivals[-1]) if arrivals else None,
            "last_doubt_ns": round(doubts[-1] * MS) if arrivals else 0,
            "prompt_tokens": 10,
            "completion_tokens": known,
            "events": len(arrivals),
            "event_tokens": "one" if tokens == 1 else "told" if isinstance(tokens, list) else None,
            "first_tokens": told[0] if arrivals else None,
            **fields,
        },
    )
    return Row(record, list(zip(map(ms, arrivals), kinds, told, doubts, strict=True)))


def columns(*rows: Row) -> Columns:
    """Their records, as columns."""
    found = Columns()
    for one in rows:
        found.append(one.record)
    return found


def moments(*rows: Row) -> Callable[[], Iterable[bytes]]:
    """Their token events in the order in which they arrived, as a run's file has them."""
    noted = MomentLog()
    events = [(ns, one.record.request, kind, told, doubt) for one in rows for ns, kind, told, doubt in one.events]
    for ns, request, kind, told, doubt in sorted(events, key=itemgetter(0)):
        tokens = UNKNOWN_TOKENS if told is None else told
        low = kind << KIND_SHIFT | doubt_code(round(doubt * MS)) << DOUBT_SHIFT | tokens
        noted.rows.extend((ns, request << REQUEST_SHIFT | low))
    data = noted.rows.tobytes()
    return lambda: [data]
