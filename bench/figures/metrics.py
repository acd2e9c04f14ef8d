"""Requests and token events to figures, by docs/metrics.md. Pure: arrays in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from bench.arrays import Bools
from bench.figures.catalogue import LATENCIES, PER_REQUEST, POOLED, SPEED_PER_USER, Figure
from bench.figures.request_table import RequestTable
from bench.figures.sample import Sample
from bench.figures.stats import describe, nothing, with_failures
from bench.figures.token_flow import WindowFlow
from bench.figures.window import Span, mean_concurrency
from bench.records.result import Distribution, Figures, Goodput, Window
from bench.units import NS_PER_S

# Below this share of requests with known tokens, ITL, TPOT and goodput would speak for a selection of them.
_COVERAGE = 0.95

NO_ANSWER_ENDED = "no answer had ended by the time at which the run was cut short"

DesignEffects = Mapping[str, Mapping[float, float]]
"""By the name of a pooled figure and the percent: how many of its samples tell as much as one alone."""


class Method:
    """How figures are to be taken: which percentiles, and what is known of the client's own error.

    `clock_error_ms` adds to every figure's error; None where arrivals were not stamped by the kernel, so that nothing
    bounds the error of one.
    """

    def __init__(
        self,
        percents: Sequence[float],
        clock_error_ms: float | None = None,
        design_effects: DesignEffects | None = None,
        slos: Mapping[str, float] | None = None,
    ) -> None:
        self.percents = percents
        self.slos = slos or {}
        self.clock_error_ms = clock_error_ms
        self.design_effects = design_effects or {}


def figures(requests: RequestTable, flow: WindowFlow, origin_ns: int, method: Method) -> Figures:
    """All figures over the span of `flow`. `origin_ns` is where the window's seconds count from."""
    span = flow.span
    length_s = span.length_ns / NS_PER_S
    sent_inside = span.contains(requests.times.send_ns)
    sample = (requests.sampled if requests.is_partial else requests.ok) & sent_inside
    failed = int((requests.failed & sent_inside).sum())
    ended_inside = requests.completed & span.contains(requests.times.last_ns)
    any_ended = bool((ended_inside | (requests.failed & span.contains(requests.times.end_ns))).any())
    tokens = flow.tokens + float(requests.counts.tokens[ended_inside & ~requests.asked.streamed].sum())

    latency = {figure.name: _per_request(requests, figure, sample, method) for figure in PER_REQUEST}
    latency["icl"] = _pooled(LATENCIES["icl"], flow.icl, method)
    latency["itl"] = _itl(requests, flow, method)
    failing = {}
    for figure in PER_REQUEST if failed else ():
        if figure.counts_failures:
            column = requests.figure(figure.name).ms[sample]
            failing[figure.name] = with_failures(column[~np.isnan(column)], failed, method.percents)
    return Figures(
        window=Window(begin_s=(span.begin_ns - origin_ns) / NS_PER_S, end_s=(span.end_ns - origin_ns) / NS_PER_S),
        requests=int(sample.sum()),
        requests_per_s=float(ended_inside.sum() / length_s) if any_ended else None,
        output_tokens_per_s=tokens / length_s if any_ended or tokens else None,
        input_tokens_per_s=_input_rate(requests, span),
        mean_concurrency=mean_concurrency(requests.times.send_ns, requests.times.end_ns, span),
        rates_reason=None if any_ended else _no_answer(requests),
        tokens_are=tokens_are(requests),
        speed_per_user=_speed(requests, sample, method),
        latency=latency,
        latency_with_failures=failing,
        goodput=_goodput(requests, span, method.slos) if method.slos else None,
    )


def _speed(requests: RequestTable, sample: Bools, method: Method) -> Distribution:
    """Tokens a second of one user."""
    tpot = requests.figure("tpot").ms[sample]
    why = _why_empty(SPEED_PER_USER, requests, sample)
    if not _knows_tokens(requests, sample):
        return nothing(method.percents, why)
    found = describe(1000 / tpot[tpot > 0], method.percents, why)
    found.assumes = _assumption(SPEED_PER_USER, requests, sample)
    return found


def _goodput(requests: RequestTable, span: Span, slos: Mapping[str, float]) -> Goodput | None:
    due = ~requests.cancelled & span.contains(requests.times.sched_ns)
    met = due & requests.completed
    if any(LATENCIES[name].needs_usage for name in slos) and not _knows_tokens(requests, met):
        return None  # a figure that cannot be told misses no limit
    for name, limit_ms in slos.items():
        met &= requests.figure(name).ms <= limit_ms  # a figure that a request does not have meets nothing
    length_s = span.length_ns / NS_PER_S
    return Goodput(
        slos=dict(slos),
        due=int(due.sum()),
        met=int(met.sum()),
        requests_per_s=float(met.sum() / length_s),
        share=float(met.sum() / due.sum()) if due.any() else None,
    )


def _per_request(requests: RequestTable, figure: Figure, wanted: Bools, method: Method) -> Distribution:
    """A figure of which each request has one."""
    if figure.needs_end and requests.is_partial:
        return nothing(method.percents, NO_ANSWER_ENDED)
    column = requests.figure(figure.name)
    why = _why_empty(figure, requests, wanted)
    if figure.needs_usage and not _knows_tokens(requests, wanted):
        return nothing(method.percents, why)
    present = wanted & ~np.isnan(column.ms)
    sample = Sample()
    sample.add(*(part[present] for part in column))
    found = sample.distribution(method.percents, why, client_error=method.clock_error_ms)
    found.assumes = _assumption(figure, requests, present)
    return found


def _assumption(figure: Figure, requests: RequestTable, present: Bools) -> str | None:
    """What a figure takes for granted where the server does not report the tokens of each event."""
    unknown = present & requests.completed & requests.asked.streamed & ~requests.counts.knows_event_tokens
    if figure.assumption is None or not unknown.any():
        return None
    which = "" if unknown.sum() == present.sum() else f" in {unknown.sum():,} of {present.sum():,} requests"
    return f"{figure.assumption}{which}: usage came only at the end, and events hold several tokens"


def _pooled(figure: Figure, sample: Sample, method: Method) -> Distribution:
    """A figure with one sample per gap, over all requests."""
    effects = method.design_effects.get(figure.name)
    return sample.distribution(method.percents, figure.why_empty, effects, method.clock_error_ms)


def _itl(requests: RequestTable, flow: WindowFlow, method: Method) -> Distribution:
    several = requests.sampled & (requests.counts.events > 1)
    if not several.any():
        return nothing(method.percents, "no request had two token events")
    known = int((several & requests.counts.knows_event_tokens).sum())
    if known < _COVERAGE * several.sum():
        reason = f"tokens per event unknown in {several.sum() - known:,} of {several.sum():,} requests; see ICL"
        return nothing(method.percents, reason)
    return _pooled(LATENCIES["itl"], flow.itl, method)


def empty_figures(reason: str, percents: Sequence[float]) -> Figures:
    """The figures of a run in which nothing happened."""
    none = nothing(percents, reason)
    return Figures(
        window=Window(reason=reason),
        requests=0,
        requests_per_s=None,
        output_tokens_per_s=None,
        input_tokens_per_s=None,
        mean_concurrency=None,
        tokens_are=None,
        speed_per_user=none,
        latency=dict.fromkeys((figure.name for figure in (*PER_REQUEST, *POOLED)), none),
        latency_with_failures={},
    )


def tokens_are(requests: RequestTable) -> Literal["usage", "chunks", "mixed"] | None:
    """Whether the answers' tokens are counted by the server's usage or are chunks."""
    told = requests.counts.usage_tokens[requests.sampled if requests.is_partial else requests.ok] >= 0
    if len(told) == 0:
        return None
    return "usage" if told.all() else "mixed" if told.any() else "chunks"


def _input_rate(requests: RequestTable, span: Span) -> float | None:
    """Prompt tokens of the answers that began in the span, by its length; what came whole began with its end."""
    began_ns = np.where(requests.asked.streamed, requests.times.first_ns, requests.times.end_ns)
    served = (requests.ok | requests.cancelled) & (requests.counts.has_events | requests.completed)
    began = served & span.contains(began_ns)
    told = requests.counts.prompt_tokens[began]
    if len(told) == 0 or (told < 0).any():
        return None
    return float(told.sum() / span.length_ns * NS_PER_S)


def _no_answer(requests: RequestTable) -> str:
    return NO_ANSWER_ENDED if requests.cancelled.any() else "no request ended in the window"


def _knows_tokens(requests: RequestTable, rows: Bools) -> bool:
    """Whether the server told how many tokens nearly all of these answers had."""
    return bool((requests.counts.usage_tokens[rows] >= 0).sum() >= _COVERAGE * rows.sum())


def _why_empty(figure: Figure, requests: RequestTable, sample: Bools) -> str:
    if not sample.any():
        return _no_answer(requests) if requests.cancelled.any() else "no request that was sent in the window succeeded"
    if figure.needs_stream and not requests.asked.streamed[sample].any():
        return "answers came in one piece"
    if figure.needs_usage and not _knows_tokens(requests, sample):
        told = requests.counts.usage_tokens[sample] >= 0
        whose = "the answers" if not told.any() else f"{(~told).sum():,} of {len(told):,} answers"
        return f"the server sent no usage with {whose}: how many tokens their events hold is not known; see ICL"
    return figure.why_empty
