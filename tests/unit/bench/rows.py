"""Records made by hand: times in milliseconds from the start of the load."""

from __future__ import annotations

from typing import Any

from bench.outcome import Outcome
from bench.record import LOAD, Columns, Record

MS = 1_000_000
T0 = 1_000_000 * MS  # a monotonic clock does not begin at zero


def ms(moment: float) -> int:
    """A moment of the load as a stamp."""
    return T0 + round(moment * MS)


def record(
    request: int,
    send: float,
    events: list[float],
    *,
    sched: float | None = None,
    end: float | None = None,
    outcome: Outcome = Outcome.OK,
    tokens: int | list[int] | None = 1,
    **fields: Any,
) -> Record:
    """One request sent at `send`, with token events at `events`, all counted from the start of the load."""
    sent_ns = ms(send)
    known = sum(tokens) if isinstance(tokens, list) else len(events) if tokens == 1 else None
    return Record(
        request=request,
        phase=LOAD,
        slot=0,
        query=0,
        sched_ns=ms(send if sched is None else sched),
        end_ns=ms((events[-1] if events else send) if end is None else end),
        outcome=outcome,
        events_ns=[ms(event) - sent_ns for event in events],
        tokens=tokens,
        **{
            "send_ns": sent_ns,
            "head_ns": sent_ns,
            "prompt_tokens": 10,
            "completion_tokens": known,
            "visible": 0 if events else None,
            **fields,
        },
    )


def columns(*records: Record) -> Columns:
    """Their columns."""
    found = Columns()
    for one in records:
        found.append(one)
    return found
