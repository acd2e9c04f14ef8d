"""Computes figures from requests and token events, as docs/metrics.md defines them. Pure: arrays in, figures out."""

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

# With fewer requests whose tokens are known, ITL, TPOT and goodput would describe a selection of the requests.
_COVERAGE = 0.95

NO_ANSWER_ENDED = "no answer had ended when the run was stopped"

DesignEffects = Mapping[str, Mapping[float, float]]
"""Design effects by the name of a pooled figure and by percent."""


class Method:
    """How to compute figures: which percentiles, and what is known about the client's own error.

    `clock_error_ms` is added to the error of every figure. It is None if the kernel did not timestamp arrivals, in
    which case no figure has an error bound.
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
    """Compute all figures over the span of `flow`. The seconds of the window count from `origin_ns`."""
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
    """The tokens per second that one user receives."""
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
        return None  # an unknown figure does not miss its limit
    for name, limit_ms in slos.items():
        met &= requests.figure(name).ms <= limit_ms  # a figure that a request lacks meets no limit
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
    return f"{figure.assumption}{which}: usage arrived only at the end, and events hold several tokens"


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
    """The figures of a window without any requests."""
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
    """Whether the tokens of the answers come from the server's usage or are counts of chunks."""
    reported = requests.counts.usage_tokens[requests.sampled if requests.is_partial else requests.ok] >= 0
    if len(reported) == 0:
        return None
    return "usage" if reported.all() else "mixed" if reported.any() else "chunks"


def _input_rate(requests: RequestTable, span: Span) -> float | None:
    """Prompt tokens of the answers that began in the span ÷ its length. An answer in one piece begins at its end."""
    began_ns = np.where(requests.asked.streamed, requests.times.first_ns, requests.times.end_ns)
    served = (requests.ok | requests.cancelled) & (requests.counts.has_events | requests.completed)
    began = served & span.contains(began_ns)
    reported = requests.counts.prompt_tokens[began]
    if len(reported) == 0 or (reported < 0).any():
        return None
    return float(reported.sum() / span.length_ns * NS_PER_S)


def _no_answer(requests: RequestTable) -> str:
    return NO_ANSWER_ENDED if requests.cancelled.any() else "no request ended in the window"


def _knows_tokens(requests: RequestTable, rows: Bools) -> bool:
    """Whether the server reported the number of tokens of nearly all these answers."""
    return bool((requests.counts.usage_tokens[rows] >= 0).sum() >= _COVERAGE * rows.sum())


def _why_empty(figure: Figure, requests: RequestTable, sample: Bools) -> str:
    if not sample.any():
        return _no_answer(requests) if requests.cancelled.any() else "no request that was sent in the window succeeded"
    if figure.needs_stream and not requests.asked.streamed[sample].any():
        return "answers arrived in one piece"
    if figure.needs_usage and not _knows_tokens(requests, sample):
        reported = requests.counts.usage_tokens[sample] >= 0
        whose = "the answers" if not reported.any() else f"{(~reported).sum():,} of {len(reported):,} answers"
        return f"the server sent no usage with {whose}: the number of tokens in their events is unknown; see ICL"
    return figure.why_empty
