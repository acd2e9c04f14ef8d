"""What the bench reported beside what the truth server knows, over the same requests and the same window. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from bench.arrays import Floats
from bench.figures.catalogue import LATENCIES
from bench.figures.window import Span
from bench.outcome import Outcome
from bench.records.record import LOAD, Record
from bench.records.result import Figures, percent_key
from bench.truth.log import Truth
from bench.units import NS_PER_MS, NS_PER_S

PERCENTS = (50.0, 99.0)
THROUGHPUT_LIMIT = 0.01


class Deviation(msgspec.Struct, kw_only=True):
    """One percentile as the bench reported it and as it was (ms); `claimed` is the error that the report admits."""

    figure: str
    percent: str
    told: float
    true: float
    claimed: float | None
    limit: float

    @property
    def error(self) -> float:
        """Reported minus true."""
        return self.told - self.true

    @property
    def holds(self) -> bool:
        """Whether it is within its limit."""
        return abs(self.error) <= self.limit

    @property
    def is_admitted(self) -> bool:
        """Whether the report itself says that it may be off by as much."""
        return self.claimed is not None and abs(self.error) <= self.claimed


class Comparison(msgspec.Struct, kw_only=True):
    """A whole run beside the truth. The counts are of requests: `unlike` came to another end than they should have,
    `miscounted` have other tokens or token events, `unknown` the server has not heard of, and `starters` began the load
    together and yet count as steady. `unfounded` are figures that nothing which the server told can be the base of.
    """

    requests: int
    outcomes: dict[str, int]
    tokens: int
    unlike: int
    miscounted: int
    unknown: int
    starters: int = 0
    unfounded: list[str] = []
    tokens_per_s: float | None
    true_tokens_per_s: float | None
    deviations: list[Deviation]

    @property
    def is_exact(self) -> bool:
        """Whether every count is right."""
        return self.unlike == self.miscounted == self.unknown == self.starters == 0 and not self.unfounded

    @property
    def throughput_error(self) -> float:
        """Of the reported tokens/s, as a share."""
        told, true = self.tokens_per_s or 0.0, self.true_tokens_per_s or 0.0
        return told / true - 1 if true else 0.0

    @property
    def is_true(self) -> bool:
        """Whether every count is right, and every figure within its limit or within the error that it admits."""
        return self._counts_hold and all(d.holds or d.is_admitted for d in self.deviations)

    @property
    def holds(self) -> bool:
        """Whether every count is right and every figure within its limit."""
        return self._counts_hold and all(d.holds for d in self.deviations)

    @property
    def _counts_hold(self) -> bool:
        return self.is_exact and abs(self.throughput_error) <= THROUGHPUT_LIMIT


def compare(figures: Figures, begun_ns: int, records: Iterable[Record], truths: Mapping[str, Truth]) -> Comparison:
    """Hold the figures and the records of a load against what the server knows; `begun_ns` is when the load began."""
    load = [record for record in records if record.phase == LOAD and record.outcome is not Outcome.CANCELLED]
    known = [(record, truths[(record.request_id or "")]) for record in load if (record.request_id or "") in truths]
    window = figures.window
    span = Span(*(begun_ns + round((edge or 0.0) * NS_PER_S) for edge in (window.begin_s, window.end_s)))
    outcomes: dict[str, int] = {}
    for record in load:
        outcomes[record.outcome] = outcomes.get(record.outcome, 0) + 1
    return Comparison(
        requests=len(load),
        outcomes=outcomes,
        tokens=sum(sum(truth.tokens) for _, truth in known),
        unlike=sum(record.outcome != truth.outcome for record, truth in known),
        miscounted=sum(_is_miscounted(record, truth) for record, truth in known),
        unknown=len(load) - len(known),
        starters=_starters(load, begun_ns, span),
        unfounded=_unfounded(figures, known),
        tokens_per_s=figures.output_tokens_per_s,
        true_tokens_per_s=_tokens_per_s(known, span, figures.tokens_are == "chunks"),
        deviations=list(_deviations(figures, known, span)),
    )


def _is_miscounted(record: Record, truth: Truth) -> bool:
    if record.events != len(truth.stamps):
        return True
    told = sum(truth.tokens) if truth.has_usage else None
    return record.outcome is Outcome.OK and record.completion_tokens != told


def _unfounded(figures: Figures, known: list[tuple[Record, Truth]]) -> list[str]:
    """Figures that were reported although they need usage and the server sent none."""
    if any(truth.has_usage for _, truth in known):
        return []
    return [name for name, found in figures.latency.items() if LATENCIES[name].needs_usage and found.n]


def _starters(load: list[Record], begun_ns: int, span: Span) -> int:
    """Requests of the steady window that began the load with others; none where the window is the whole run."""
    together = [record for record in load if record.sched_ns == begun_ns]
    if len(together) < 2 or span.begin_ns <= begun_ns:
        return 0
    return sum(span.begin_ns <= (record.send_ns or 0) < span.end_ns for record in together)


def _tokens_per_s(known: list[tuple[Record, Truth]], span: Span, of_chunks: bool) -> float | None:
    """Over successes only, as the report has it; of chunks, where it counts those."""
    if span.length_ns <= 0:
        return None
    tokens = sum(
        1 if of_chunks else carried
        for record, truth in known
        if record.outcome is Outcome.OK
        for ns, carried in zip(truth.stamps, truth.tokens, strict=True)
        if span.begin_ns <= ns < span.end_ns
    )
    return tokens / span.length_ns * NS_PER_S


def _deviations(figures: Figures, known: list[tuple[Record, Truth]], span: Span) -> Iterable[Deviation]:
    ok = [(record, truth) for record, truth in known if record.outcome is Outcome.OK and truth.stamps]
    sent = [truth for record, truth in ok if span.begin_ns <= (record.send_ns or 0) < span.end_ns]
    true = _per_request(sent) | _gaps([truth for _, truth in ok], span)
    for name, values in true.items():
        for percent, limit in zip(PERCENTS, LATENCIES[name].truth_limits_ms or (), strict=True):
            told = figures.latency[name].percentiles[percent_key(percent)]
            if told.value is not None and len(values):
                yield Deviation(
                    figure=name,
                    percent=percent_key(percent),
                    told=told.value,
                    true=float(np.percentile(values, percent)),
                    claimed=told.client_error,
                    limit=limit,
                )


def _per_request(truths: list[Truth]) -> dict[str, Floats]:
    several = [truth for truth in truths if len(truth.stamps) > 1]
    return {
        "ttft": _ms(truth.stamps[0] - truth.read_ns for truth in truths),
        "ttfv": _ms(truth.stamps[truth.visible.index(True)] - truth.read_ns for truth in truths if any(truth.visible)),
        "tpot": _ms((t.stamps[-1] - t.stamps[0]) / sum(t.tokens[1:]) for t in several),
        "e2e": _ms(truth.stamps[-1] - truth.read_ns for truth in truths),
    }


def _gaps(truths: list[Truth], span: Span) -> dict[str, Floats]:
    gaps: list[Floats] = []
    each: list[Floats] = []
    for truth in truths:
        stamps = np.array(truth.stamps, dtype=np.int64)
        inside = (stamps[1:] >= span.begin_ns) & (stamps[1:] < span.end_ns)
        gap = np.diff(stamps)[inside] / NS_PER_MS
        gaps.append(gap)
        each.append(gap / np.array(truth.tokens[1:], dtype=np.float64)[inside])
    empty = np.empty(0)
    return {"icl": np.concatenate(gaps or [empty]), "itl": np.concatenate(each or [empty])}


def _ms(spans_ns: Iterable[float]) -> Floats:
    return np.array([span / NS_PER_MS for span in spans_ns])
