"""Records to figures, by docs/metrics.md. Pure: arrays in, arrays and figures out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bench.outcome import Outcome
from bench.record import OUTCOMES, Columns
from bench.result import Distribution, Figures, Window
from bench.stats import Bools, Floats, Ints, describe, with_failures
from bench.units import NS_PER_MS, NS_PER_S
from bench.window import Span, mean_concurrency

# Below this share of requests with known tokens per event, ITL would speak for a selection of them.
_ITL_COVERAGE = 0.95

PER_REQUEST = ("ttft", "ttft_sched", "ttfv", "tpot", "e2e", "max_gap", "lateness")


class Requests:
    """The load's requests as arrays, a row each, in milliseconds with NaN for what a row does not have.

    `event_*` have an element for each token event; `event_row` says whose it is.
    """

    def __init__(self, columns: Columns) -> None:
        def ints(column: Sequence[int]) -> Ints:
            return np.array(column, dtype=np.int64)

        self.outcome = ints(columns.outcome)
        self.ok: Bools = self.outcome == OUTCOMES.index(Outcome.OK)
        self.cancelled: Bools = self.outcome == OUTCOMES.index(Outcome.CANCELLED)
        self.failed: Bools = ~(self.ok | self.cancelled)
        self.sched_ns, self.end_ns = ints(columns.sched_ns), ints(columns.end_ns)
        sent_ns = ints(columns.send_ns)
        self.was_sent: Bools = sent_ns >= 0
        self.send_ns: Ints = np.where(self.was_sent, sent_ns, self.sched_ns)
        self.opened: Bools = ints(columns.opened) > 0
        self.empty = ints(columns.empty)
        self.prompt_tokens = ints(columns.prompt_tokens)
        self.cached_tokens = ints(columns.cached_tokens)
        self.usage_tokens = ints(columns.completion_tokens)

        self.event_ns = ints(columns.event_ns)
        self.event_tokens = ints(columns.event_tokens)
        offsets = ints(columns.event_offset)
        self.events: Ints = np.diff(offsets)
        self.event_row: Ints = np.repeat(np.arange(len(self.events)), self.events)
        self.has_events: Bools = self.events > 0
        self.first_at, self.last_at = offsets[:-1], offsets[1:] - 1
        self.visible_ns = ints(columns.visible_ns)

        self.first_ns = self._at(self.event_ns, self.first_at)
        self.last_ns = self._at(self.event_ns, self.last_at)
        self.tokens: Ints = np.where(self.usage_tokens >= 0, self.usage_tokens, self.events)
        self._derive()

    def __len__(self) -> int:
        return len(self.outcome)

    def _at(self, values: Ints, positions: Ints) -> Ints:
        """The events' values at a position of each row, 0 for rows without events."""
        found = np.zeros(len(positions), dtype=np.int64)
        found[self.has_events] = values[positions[self.has_events]]
        return found

    def _derive(self) -> None:
        has, usable = self.has_events, self.has_events & self.was_sent
        self.lateness = _ms(self.send_ns - self.sched_ns, self.was_sent)
        self.ttft = _ms(self.first_ns - self.send_ns, usable)
        self.ttft_sched = _ms(self.first_ns - self.sched_ns, has)
        self.ttfv = _ms(self.visible_ns - self.send_ns, usable & (self.visible_ns >= 0))
        self.e2e = _ms(self.last_ns - self.send_ns, usable)

        gap = np.full(len(self.event_ns), np.nan)
        gap[1:] = np.diff(self.event_ns) / NS_PER_MS
        gap[self.first_at[has]] = np.nan  # the first event of a request ends no gap
        self.gap: Floats = gap
        self.max_gap: Floats = np.full(len(self), np.nan)
        several = self.events > 1
        if several.any():
            filled = np.where(np.isnan(gap), -1.0, gap)
            self.max_gap[several] = np.maximum.reduceat(filled, self.first_at[has])[several[has]]

        first_tokens = self._at(self.event_tokens, self.first_at)
        first_tokens = np.where(first_tokens < 0, 1, first_tokens)
        later: Ints = self.tokens - first_tokens
        self.tpot: Floats = np.full(len(self), np.nan)
        countable = has & (later > 0) & (self.events > 1)
        self.tpot[countable] = (self.last_ns - self.first_ns)[countable] / NS_PER_MS / later[countable]

    @property
    def knows_event_tokens(self) -> Bools:
        """Rows whose events each tell how many tokens they carried."""
        first = self._at(self.event_tokens, self.first_at)
        return self.has_events & (first >= 0)

    @property
    def event_weight(self) -> Floats:
        """Tokens of each event; where they are not known, the answer's tokens spread evenly over its events."""
        spread = self.tokens / np.maximum(self.events, 1)
        return np.where(self.event_tokens >= 0, self.event_tokens, spread[self.event_row])

    def per_request(self, name: str) -> Floats:
        """The column of one figure of `PER_REQUEST`."""
        column: Floats = getattr(self, name)
        return column


def figures(requests: Requests, span: Span, origin_ns: int, percents: Sequence[float]) -> Figures:
    """All figures over one span. `origin_ns` is where the window's seconds count from."""
    length_s = span.length_ns / NS_PER_S
    sent_inside = (requests.send_ns >= span.begin_ns) & (requests.send_ns < span.end_ns)
    sample = requests.ok & sent_inside
    failed = int((requests.failed & sent_inside).sum())
    ended_inside = requests.ok & (requests.last_ns >= span.begin_ns) & (requests.last_ns < span.end_ns)
    counted = requests.ok | requests.cancelled  # what the bench gave up was served all the same
    event_inside = (requests.event_ns >= span.begin_ns) & (requests.event_ns < span.end_ns)
    tokens = float(requests.event_weight[event_inside & counted[requests.event_row]].sum())

    latency: dict[str, Distribution] = {}
    failing = {}
    for name in PER_REQUEST:
        values = _present(requests.per_request(name)[sample])
        latency[name] = describe(values, percents, _why_empty(name, sample))
        if failed and name in ("ttft", "e2e"):
            failing[name] = with_failures(values, failed, percents)
    gap_inside = event_inside & requests.ok[requests.event_row] & ~np.isnan(requests.gap)
    latency["icl"] = describe(requests.gap[gap_inside], percents, "no request had two token events in the window")
    latency["itl"] = _itl(requests, gap_inside, percents)
    speed = _present(requests.tpot[sample])
    return Figures(
        window=Window(begin_s=(span.begin_ns - origin_ns) / NS_PER_S, end_s=(span.end_ns - origin_ns) / NS_PER_S),
        requests=int(sample.sum()),
        requests_per_s=float(ended_inside.sum() / length_s),
        output_tokens_per_s=tokens / length_s,
        input_tokens_per_s=_input_rate(requests, counted, span),
        mean_concurrency=mean_concurrency(requests.send_ns, requests.end_ns, span),
        tokens_are=tokens_are(requests),
        speed_per_user=describe(1000 / speed[speed > 0], percents, _why_empty("tpot", sample)),
        latency=latency,
        latency_with_failures=failing,
    )


def empty_figures(reason: str, percents: Sequence[float]) -> Figures:
    """The figures of a run in which nothing happened."""
    nothing = describe(np.empty(0), percents, reason)
    return Figures(
        window=Window(reason=reason),
        requests=0,
        requests_per_s=None,
        output_tokens_per_s=None,
        input_tokens_per_s=None,
        mean_concurrency=None,
        tokens_are=None,
        speed_per_user=nothing,
        latency=dict.fromkeys((*PER_REQUEST, "icl", "itl"), nothing),
        latency_with_failures={},
    )


def tokens_are(requests: Requests) -> Literal["usage", "chunks", "mixed"] | None:
    """Whether the successful answers' tokens are counted by the server's usage or are chunks."""
    told = requests.usage_tokens[requests.ok] >= 0
    if len(told) == 0:
        return None
    return "usage" if told.all() else "mixed" if told.any() else "chunks"


def _itl(requests: Requests, gap_inside: Bools, percents: Sequence[float]) -> Distribution:
    several = requests.ok & (requests.events > 1)
    if not several.any():
        return describe(np.empty(0), percents, "no request had two token events")
    known = several & requests.knows_event_tokens
    if known.sum() < _ITL_COVERAGE * several.sum():
        reason = f"tokens per event unknown in {several.sum() - known.sum():,} of {several.sum():,} requests; see ICL"
        return describe(np.empty(0), percents, reason)
    usable = gap_inside & known[requests.event_row] & (requests.event_tokens > 0)
    return describe(requests.gap[usable] / requests.event_tokens[usable], percents, "no gap in the window")


def _input_rate(requests: Requests, counted: Bools, span: Span) -> float | None:
    """Prompt tokens of the answers that began in the span, by its length."""
    began = counted & requests.has_events & (requests.first_ns >= span.begin_ns) & (requests.first_ns < span.end_ns)
    told = requests.prompt_tokens[began]
    if len(told) == 0 or (told < 0).any():
        return None
    return float(told.sum() / span.length_ns * NS_PER_S)


def _why_empty(name: str, sample: Bools) -> str:
    if not sample.any():
        return "no request that was sent in the window succeeded"
    return {"ttfv": "no answer had visible text", "tpot": "no answer had tokens after its first event"}.get(
        name, "no answer had two token events" if name == "max_gap" else "no token events"
    )


def _ms(spans_ns: Ints, where: Bools) -> Floats:
    return np.where(where, spans_ns / NS_PER_MS, np.nan)


def _present(values: Floats) -> Floats:
    return values[~np.isnan(values)]
