"""What is kept of each request: a row when it ends, columns of all of them, with the arrival of every token event.

Everything that a report says is computed from these.
"""

from __future__ import annotations

from array import array

import msgspec

from bench.outcome import Outcome

LOAD = "load"
WARMUP = "warmup"

UNKNOWN = -1  # in columns of integers, what is None in a row


class Record(msgspec.Struct, kw_only=True):
    """One request, as a line of requests.jsonl.

    Times are `time.monotonic_ns()`; `events_ns` are token events, counted from `send_ns`. `tokens` says how many
    tokens each event carried: 1 for one each, a list, or null where nothing tells. `visible` is the position of the
    first event with content or a tool call, `empty` the number of events with an empty text. `continuous_usage` is
    whether usage came with every event. `asked_tokens` is the length the answer had to have, `query` the number of the
    prompt within the workload.
    """

    request: int
    phase: str
    slot: int
    query: int
    sched_ns: int
    send_ns: int | None = None
    head_ns: int | None = None
    end_ns: int
    opened: bool = False
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
    events_ns: list[int] = []
    tokens: int | list[int] | None = None
    continuous_usage: bool = False
    visible: int | None = None
    empty: int = 0


OUTCOMES = tuple(Outcome)
_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}


class Columns:
    """Requests of one phase, a column a field, rows in the order in which they ended.

    Integers are -1 where a row has None. `event_ns` and `event_tokens` hold the events of all rows one after the
    other (absolute stamps); those of row i are `[event_offset[i], event_offset[i + 1])`.
    """

    __slots__ = (
        "cached_tokens",
        "completion_tokens",
        "empty",
        "end_ns",
        "errors",
        "event_ns",
        "event_offset",
        "event_tokens",
        "head_ns",
        "opened",
        "outcome",
        "prompt_tokens",
        "request",
        "sched_ns",
        "send_ns",
        "visible_ns",
    )

    def __init__(self) -> None:
        self.request = array("q")
        self.outcome = array("b")
        self.sched_ns = array("q")
        self.send_ns = array("q")
        self.head_ns = array("q")
        self.end_ns = array("q")
        self.visible_ns = array("q")
        self.opened = array("b")
        self.empty = array("i")
        self.prompt_tokens = array("q")
        self.completion_tokens = array("q")
        self.cached_tokens = array("q")
        self.event_offset = array("q", [0])
        self.event_ns = array("q")
        self.event_tokens = array("i")
        self.errors: dict[int, Failure] = {}  # by row

    def __len__(self) -> int:
        return len(self.request)

    def append(self, record: Record) -> None:
        """Add a row."""
        if record.outcome is not Outcome.OK:
            self.errors[len(self)] = Failure(
                record.request, record.outcome, record.sched_ns, record.error or "", record.status, record.retry_after_s
            )
        send_ns = UNKNOWN if record.send_ns is None else record.send_ns
        events_ns, tokens = record.events_ns, record.tokens
        self.request.append(record.request)
        self.outcome.append(_CODES[record.outcome])
        self.sched_ns.append(record.sched_ns)
        self.send_ns.append(send_ns)
        self.head_ns.append(UNKNOWN if record.head_ns is None else record.head_ns)
        self.end_ns.append(record.end_ns)
        self.visible_ns.append(UNKNOWN if record.visible is None else send_ns + events_ns[record.visible])
        self.opened.append(record.opened)
        self.empty.append(record.empty)
        self.prompt_tokens.append(UNKNOWN if record.prompt_tokens is None else record.prompt_tokens)
        self.completion_tokens.append(UNKNOWN if record.completion_tokens is None else record.completion_tokens)
        self.cached_tokens.append(UNKNOWN if record.cached_tokens is None else record.cached_tokens)
        self.event_ns.extend([send_ns + event_ns for event_ns in events_ns])
        if isinstance(tokens, list):
            self.event_tokens.extend(tokens)
        else:
            self.event_tokens.extend(array("i", [UNKNOWN if tokens is None else tokens]) * len(events_ns))
        self.event_offset.append(len(self.event_ns))


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why a row is no success."""

    request: int
    outcome: Outcome
    sched_ns: int
    error: str
    status: int | None
    retry_after_s: float | None
