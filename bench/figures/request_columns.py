"""The records of a load's requests as arrays, one element per request, grouped by what they are about. Pure."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from bench.arrays import Bools, Ints
from bench.records.record import NOT_TOLD, ONE_EACH, Columns


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, and over which connection. `tokens` is -1 where no exact length was asked for."""

    request: Ints
    tokens: Ints
    streamed: Bools
    opened: Bools
    reopened: Bools


@dataclass(frozen=True, slots=True)
class Times:
    """When things happened, in monotonic nanoseconds; -1 where they did not.

    A slot is held from `begun_ns`, when the client starts to send, until `free_ns`. The time between the two is the
    server's, including the time to open a connection. `due_ns` is the earliest moment at which the client could have
    started: the planned start, or the moment when the limit of an open loop allowed it. `waited_ns` is the part of the
    time before the send that was spent waiting for the server. A request that was never sent has its planned start as
    `send_ns`.
    """

    sched_ns: Ints
    due_ns: Ints
    begun_ns: Ints
    waited_ns: Ints
    was_sent: Bools
    send_ns: Ints
    first_ns: Ints
    visible_ns: Ints
    last_ns: Ints
    end_ns: Ints
    free_ns: Ints


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted. Tokens are -1 where the server did not report them.

    `tokens` are those of an answer: the server's usage or, where it sent none, its token events. `first_tokens` are
    those of the first event, taken as one where the server did not report them.
    """

    events: Ints
    empty: Ints
    dropped: Ints
    merged_reads: Ints
    prompt_tokens: Ints
    cached_tokens: Ints
    usage_tokens: Ints
    tokens: Ints
    first_tokens: Ints
    has_events: Bools
    one_each: Bools
    knows_event_tokens: Bools


@dataclass(frozen=True, slots=True)
class Doubts:
    """How uncertain the times are, in nanoseconds.

    The first and the last token event may have arrived earlier by this much, and the send may have happened earlier by
    the time that it took.
    """

    send_ns: Ints
    first_ns: Ints
    last_ns: Ints


def read_asked(columns: Columns) -> Asked:
    """What was asked for."""
    return Asked(
        request=_ints(columns.integers["request"]),
        tokens=_ints(columns.integers["asked_tokens"]),
        streamed=_bools(columns.streamed),
        opened=_bools(columns.opened),
        reopened=_bools(columns.reopened),
    )


def read_times(columns: Columns, streamed: Bools) -> Times:
    """When things happened. The last event of an answer in one piece is its end."""
    stamps = columns.integers
    sched_ns, end_ns, waited_ns = _ints(stamps["sched_ns"]), _ints(stamps["end_ns"]), _ints(stamps["waited_ns"])
    sent_ns = _ints(stamps["send_ns"])
    was_sent: Bools = sent_ns >= 0
    return Times(
        sched_ns=sched_ns,
        due_ns=sched_ns + _ints(stamps["queued_ns"]),
        begun_ns=np.maximum(np.where(was_sent, sent_ns, end_ns) - waited_ns, sched_ns),
        waited_ns=waited_ns,
        was_sent=was_sent,
        send_ns=np.where(was_sent, sent_ns, sched_ns),
        first_ns=_ints(stamps["first_ns"]),
        visible_ns=_ints(stamps["visible_ns"]),
        last_ns=np.where(streamed, _ints(stamps["last_ns"]), end_ns),
        end_ns=end_ns,
        free_ns=np.maximum(_ints(stamps["free_ns"]), end_ns),
    )


def read_counts(columns: Columns) -> Counts:
    """What was counted."""
    numbers, event_tokens = columns.integers, _ints(columns.event_tokens)
    events, usage_tokens = _ints(numbers["events"]), _ints(numbers["completion_tokens"])
    first_tokens = _ints(numbers["first_tokens"])
    has_events: Bools = events > 0
    return Counts(
        events=events,
        empty=_ints(numbers["empty"]),
        dropped=_ints(numbers["dropped"]),
        merged_reads=_ints(numbers["merged_reads"]),
        prompt_tokens=_ints(numbers["prompt_tokens"]),
        cached_tokens=_ints(numbers["cached_tokens"]),
        usage_tokens=usage_tokens,
        tokens=np.where(usage_tokens >= 0, usage_tokens, events),
        first_tokens=np.where(first_tokens < 0, 1, first_tokens),
        has_events=has_events,
        one_each=event_tokens == ONE_EACH,
        knows_event_tokens=has_events & (event_tokens != NOT_TOLD),
    )


def read_doubts(columns: Columns) -> Doubts:
    """How uncertain the times are."""
    found = columns.integers
    return Doubts(
        send_ns=_ints(found["send_took_ns"]),
        first_ns=_ints(found["first_doubt_ns"]),
        last_ns=_ints(found["last_doubt_ns"]),
    )


def _ints(values: array[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _bools(values: array[int]) -> Bools:
    return np.array(values, dtype=np.bool_)
