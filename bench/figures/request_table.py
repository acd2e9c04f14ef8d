"""The load's requests as arrays, and the figures that each of them has by itself. Pure."""

from __future__ import annotations

from array import array

import numpy as np

from bench.arrays import Bools, Floats, Ints
from bench.outcome import Outcome
from bench.records.record import NOT_TOLD, ONE_EACH, OUTCOMES, Columns
from bench.units import NS_PER_MS


class Requests:
    """A row a request, in milliseconds with NaN for what a row does not have.

    A slot is held from `begun_ns`, when the client set about sending, to `free_ns`: what passes in between is the
    server's time, the opening of connections included. `due_ns` is when it could have done so: at the planned start, or
    once the limit of an open loop let it. What lies between the two is the client's `own_lateness`.

    `sampled` are the rows that figures are taken of: those that completed. Where none had by the time at which the run
    was cut short (`is_partial`), they are those that were under way, and the figures what can be said of a beginning.

    `max_gap` and `counted` come from the token events (`bench.figures.token_flow`): the largest gap, and the tokens
    that events brought as far as that is known. `*_over` and `*_under` say by how much a figure may be too large or too
    small because of the bench itself.
    """

    def __init__(self, columns: Columns) -> None:
        def ints(values: array[int]) -> Ints:
            return np.array(values, dtype=np.int64)

        column = {name: ints(values) for name, values in columns.integers.items()}
        self.request = column["request"]
        self.outcome = ints(columns.outcome)
        self.ok: Bools = self.has_outcome(Outcome.OK)
        self.cancelled: Bools = self.has_outcome(Outcome.CANCELLED)
        self.failed: Bools = ~(self.ok | self.cancelled)
        self.streamed: Bools = ints(columns.streamed) > 0
        self.opened: Bools = ints(columns.opened) > 0
        self.reopened: Bools = ints(columns.reopened) > 0

        self.sched_ns, self.end_ns = column["sched_ns"], column["end_ns"]
        self.was_sent: Bools = column["send_ns"] >= 0
        self.send_ns: Ints = np.where(self.was_sent, column["send_ns"], self.sched_ns)
        self.waited_ns = column["waited_ns"]
        tried_ns: Ints = np.where(self.was_sent, column["send_ns"], self.end_ns) - self.waited_ns
        self.due_ns: Ints = self.sched_ns + column["queued_ns"]
        self.begun_ns: Ints = np.maximum(tried_ns, self.sched_ns)
        self.free_ns: Ints = np.maximum(column["free_ns"], self.end_ns)
        self.events = column["events"]
        self.has_events: Bools = self.events > 0
        self.first_ns = column["first_ns"]
        self.last_ns: Ints = np.where(self.streamed, column["last_ns"], self.end_ns)
        self.visible_ns = column["visible_ns"]
        self.empty, self.dropped, self.merged_reads = column["empty"], column["dropped"], column["merged_reads"]

        self.prompt_tokens, self.cached_tokens = column["prompt_tokens"], column["cached_tokens"]
        self.asked_tokens, self.usage_tokens = column["asked_tokens"], column["completion_tokens"]
        self.tokens: Ints = np.where(self.usage_tokens >= 0, self.usage_tokens, self.events)
        event_tokens = ints(columns.event_tokens)
        self.knows_event_tokens: Bools = self.has_events & (event_tokens != NOT_TOLD)
        self.one_each: Bools = event_tokens == ONE_EACH

        under_way = self.cancelled & self.streamed & self.has_events
        self.is_partial = bool(under_way.any() and not self.completed.any())
        self.sampled: Bools = under_way if self.is_partial else self.completed

        self.max_gap: Floats = np.full(len(self), np.nan)
        self.counted: Ints = np.zeros(len(self), dtype=np.int64)
        self._derive(column)

    def __len__(self) -> int:
        return len(self.outcome)

    def has_outcome(self, outcome: Outcome) -> Bools:
        """Rows that ended so."""
        rows: Bools = self.outcome == OUTCOMES.index(outcome)
        return rows

    @property
    def completed(self) -> Bools:
        """Rows that ended well with something to time: a token event, or a whole body."""
        return self.ok & (self.has_events | ~self.streamed)

    def _derive(self, column: dict[str, Ints]) -> None:
        sent, has = self.was_sent, self.has_events
        timed = sent & (has | (~self.streamed & self.ok))
        took = column["send_took_ns"]
        first_doubt, last_doubt = column["first_doubt_ns"], column["last_doubt_ns"]
        self.lateness = _ms(self.send_ns - self.sched_ns, sent)
        self.own_lateness = _ms(self.begun_ns - self.due_ns, sent)
        self.ttft = _ms(self.first_ns - self.send_ns, sent & has)
        self.ttft_sched = _ms(self.first_ns - self.sched_ns, has)
        self.ttfv = _ms(self.visible_ns - self.send_ns, sent & (self.visible_ns >= 0))
        self.e2e = _ms(self.last_ns - self.send_ns, timed)
        nothing = np.zeros(len(self))
        self._over = {
            "lateness": took / NS_PER_MS,
            "ttft": first_doubt / NS_PER_MS,
            "ttft_sched": first_doubt / NS_PER_MS,
            "ttfv": first_doubt / NS_PER_MS,
            "e2e": last_doubt / NS_PER_MS,
        }
        self._under = dict.fromkeys(("ttft", "ttfv", "e2e"), took / NS_PER_MS)
        self._under |= {"lateness": nothing, "ttft_sched": nothing}

        first_tokens = np.maximum(column["first_tokens"], np.where(column["first_tokens"] < 0, 1, 0))
        later: Ints = self.tokens - first_tokens
        self.tpot: Floats = np.full(len(self), np.nan)
        # Without usage the tokens are not known; and what is still under way has no last one.
        countable = self.ok & has & (self.usage_tokens >= 0) & (later > 0) & (self.events > 1)
        several = later[countable] * NS_PER_MS
        self.tpot[countable] = (self.last_ns - self.first_ns)[countable] / several
        self._over["tpot"], self._under["tpot"] = np.zeros(len(self)), np.zeros(len(self))
        self._over["tpot"][countable] = last_doubt[countable] / several
        self._under["tpot"][countable] = first_doubt[countable] / several
        self._over["max_gap"] = self._under["max_gap"] = np.maximum(first_doubt, last_doubt) / NS_PER_MS

    def figure(self, name: str) -> Floats:
        """The column of one figure."""
        column: Floats = getattr(self, name)
        return column

    def errors(self, name: str) -> tuple[Floats, Floats]:
        """By how much that figure may be too large and too small."""
        return self._over[name], self._under[name]


def _ms(spans_ns: Ints, where: Bools) -> Floats:
    return np.where(where, spans_ns / NS_PER_MS, np.nan)
