"""The record of each request: a line when it ends, and columns of all requests. Its token events are `moments`.

Everything in a report is computed from these two.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Literal

import msgspec

from bench.outcome import Outcome

LOAD = "load"
WARMUP = "warmup"

UNKNOWN = -1  # in columns of integers, for None in a record


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One request, as a line of requests.jsonl. A field with its default value is left out there.

    Times are `time.monotonic_ns()`: planned start, request sent (`send_took_ns` is how long it took to hand it over),
    head, first, first visible and last token event, end. `free_ns` is when the slot was free for its next request, if
    that was later than the end: the server still held the connection, or the slot paused after a refusal. `queued_ns`
    is for how long after the planned start the limit of an open loop held the request back. `waited_ns` is the part of
    the time before the send that was spent waiting for the server: opening a connection (`opened`), finding a kept
    connection dead and opening another one (`reopened`), waiting until the server read the request.
    `first_doubt_ns` and `last_doubt_ns` are how much earlier those two events may have arrived. `events` counts token
    events. `event_tokens` is how many tokens each of them carried: "one", "told" by the usage that came with it, or
    null if unknown. `empty` events had an empty text, `dropped` events an empty text and no token. `asked_tokens` is
    the requested length, if it was to be exact, and `query` the number of the prompt in the workload. `merged_reads`
    is how many reads returned several token events.
    """

    request: int
    phase: str
    slot: int = 0
    query: int = 0
    sched_ns: int
    send_ns: int | None = None
    send_took_ns: int = 0
    head_ns: int | None = None
    first_ns: int | None = None
    first_doubt_ns: int = 0
    visible_ns: int | None = None
    last_ns: int | None = None
    last_doubt_ns: int = 0
    end_ns: int
    free_ns: int | None = None
    queued_ns: int = 0
    waited_ns: int = 0
    streamed: bool = True
    opened: bool = False
    reopened: bool = False
    status: int | None = None
    outcome: Outcome
    error: str | None = None
    retry_after_s: float | None = None
    finish_reason: str | None = None
    request_id: str | None = None
    asked_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    events: int = 0
    event_tokens: Literal["one", "told"] | None = None
    first_tokens: int | None = None
    continuous_usage: bool = False
    empty: int = 0
    dropped: int = 0
    merged_reads: int = 0


OUTCOMES = tuple(Outcome)
_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
NOT_TOLD, ONE_EACH, TOLD = range(3)
_EVENT_TOKENS = {None: NOT_TOLD, "one": ONE_EACH, "told": TOLD}

_INTEGERS = (
    "request",
    "sched_ns",
    "send_ns",
    "send_took_ns",
    "head_ns",
    "first_ns",
    "first_doubt_ns",
    "visible_ns",
    "last_ns",
    "last_doubt_ns",
    "end_ns",
    "free_ns",
    "queued_ns",
    "waited_ns",
    "asked_tokens",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "events",
    "first_tokens",
    "empty",
    "dropped",
    "merged_reads",
)


class Columns:
    """The requests of the load: one column per field, and rows in the order in which the requests ended.

    `integers` are by the name of the field of the record, and -1 means None. `outcome` is a position in `OUTCOMES`,
    `event_tokens` one of NOT_TOLD, ONE_EACH and TOLD.
    """

    __slots__ = ("errors", "event_tokens", "integers", "opened", "outcome", "reopened", "streamed")

    def __init__(self) -> None:
        self.integers = {name: array("q") for name in _INTEGERS}
        self.outcome = array("b")
        self.event_tokens = array("b")
        self.opened = array("b")
        self.reopened = array("b")
        self.streamed = array("b")
        self.errors: dict[int, Failure] = {}  # by row

    def __len__(self) -> int:
        return len(self.outcome)

    def append(self, record: Record) -> None:
        """Add a row."""
        if record.outcome is not Outcome.OK:
            self.errors[len(self)] = Failure(
                record.request, record.outcome, record.sched_ns, record.error or "", record.status, record.retry_after_s
            )
        for name, column in self.integers.items():
            value = getattr(record, name)
            column.append(UNKNOWN if value is None else value)
        self.outcome.append(_CODES[record.outcome])
        self.event_tokens.append(_EVENT_TOKENS[record.event_tokens])
        self.opened.append(record.opened)
        self.reopened.append(record.reopened)
        self.streamed.append(record.streamed)

    def picked(self, rows: Iterable[int]) -> Columns:
        """These rows, in the given order."""
        found = Columns()
        for row in rows:
            if row in self.errors:
                found.errors[len(found)] = self.errors[row]
            for name, column in self.integers.items():
                found.integers[name].append(column[row])
            for flag in ("outcome", "event_tokens", "opened", "reopened", "streamed"):
                getattr(found, flag).append(getattr(self, flag)[row])
        return found


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why a row is not a success."""

    request: int
    outcome: Outcome
    sched_ns: int
    error: str
    status: int | None
    retry_after_s: float | None
