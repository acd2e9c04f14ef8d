"""Estimates the quantities of one run from its records, and how far each varies within the run. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from bench.arrays import Floats, Ints
from bench.compare.difference import Estimate
from bench.compare.quantity import Quantity
from bench.compare.resampling import PercentileCounts, Slices, Spread, ratio_spread
from bench.figures.catalogue import LATENCIES
from bench.figures.metrics import Method, figures
from bench.figures.request_table import RequestTable
from bench.figures.stats import Sorted
from bench.figures.steady import find_windows
from bench.figures.token_flow import Events, Moments, WindowFlow, flow, walk
from bench.records.record import Columns
from bench.records.result import Figures, percent_key
from bench.records.run import Run
from bench.units import NS_PER_MS

Estimates = Mapping[str, Estimate | str]
"""By the name of a quantity: its estimate, or why there is none."""


def run_estimates(
    run: Run, columns: Columns, moments: Moments, quantities: Sequence[Quantity], rng: np.random.Generator
) -> Estimates:
    """Estimate the quantities over the window of the run's headline."""
    requests = RequestTable(columns)
    windows = find_windows(run, requests)
    if windows is None:
        return dict.fromkeys((quantity.name for quantity in quantities), "nothing was sent")
    span = windows.headline
    (window,) = flow(requests, moments, [span])
    percents = sorted({quantity.percent for quantity in quantities if quantity.percent is not None})
    found = figures(requests, window, windows.whole.begin_ns, Method(percents))
    values = {quantity.name: _value(quantity, found) for quantity in quantities}
    known = [quantity for quantity in quantities if not isinstance(values[quantity.name], str)]
    slices = Slices(span, (windows.needed_s or 0.0) * 1e9)
    spreads = _spreads(known, requests, window, moments, slices)
    return {
        name: value if isinstance(value, str) else _estimate(value, spreads[name](rng))
        for name, value in values.items()
    }


def _estimate(value: float, spread: Spread) -> Estimate:
    return Estimate(value, spread.variance, spread.blocks)


def _value(quantity: Quantity, found: Figures) -> float | str:
    """The value of a quantity, or why there is none."""
    if quantity.figure is None:
        rate: float | None = getattr(found, quantity.name)
        return rate or found.rates_reason or "none in the window"
    distribution = found.latency[quantity.figure]
    if quantity.percent is None:
        return distribution.mean or distribution.reason or "is 0"
    percentile = distribution.percentiles[percent_key(quantity.percent)]
    return percentile.value or percentile.reason or "is 0"


_Spreads = dict[str, Callable[[np.random.Generator], Spread]]


def _spreads(
    quantities: Sequence[Quantity], requests: RequestTable, window: WindowFlow, moments: Moments, slices: Slices
) -> _Spreads:
    """How each quantity varies, by its name."""
    gaps = [quantity for quantity in quantities if quantity.figure is not None and LATENCIES[quantity.figure].pooled]
    tokens = _whole_answers(requests, window, slices)
    pooled = [_Gaps(quantity, window, slices) for quantity in gaps]
    if pooled or any(quantity.name == "output_tokens_per_s" for quantity in quantities):
        for events in walk(requests, moments()):
            served, weights = window.served_tokens(events)
            tokens += slices.sums(events.ns[served], weights)
            for gap in pooled:
                gap.add(events)
    found: _Spreads = {gap.quantity.name: gap.spread for gap in pooled}
    for quantity in quantities:
        if quantity.figure is None:
            amounts = tokens if quantity.name == "output_tokens_per_s" else slices.sums(_ended_ns(requests, window))
            found[quantity.name] = partial(ratio_spread, amounts, np.ones(slices.count), slices)
        elif quantity.name not in found:
            found[quantity.name] = _of_requests(quantity, requests, window, slices)
    return found


def _whole_answers(requests: RequestTable, window: WindowFlow, slices: Slices) -> Floats:
    """The tokens of answers in one piece, which arrive at their end."""
    rows = requests.completed & ~requests.asked.streamed & window.span.contains(requests.times.last_ns)
    return slices.sums(requests.times.last_ns[rows], requests.counts.tokens[rows].astype(np.float64))


def _ended_ns(requests: RequestTable, window: WindowFlow) -> Ints:
    ended: Ints = requests.times.last_ns[requests.completed & window.span.contains(requests.times.last_ns)]
    return ended


def _of_requests(
    quantity: Quantity, requests: RequestTable, window: WindowFlow, slices: Slices
) -> Callable[[np.random.Generator], Spread]:
    """The spread of a figure that has one value per request, by the time at which the request was sent."""
    column = requests.figure(quantity.figure or "").ms
    rows = requests.ok & window.span.contains(requests.times.send_ns) & ~np.isnan(column)
    at_ns, values = requests.times.send_ns[rows], column[rows]
    if quantity.percent is None:
        return partial(ratio_spread, slices.sums(at_ns, values), slices.sums(at_ns), slices)
    counts = PercentileCounts(Sorted(values), quantity.percent, slices)
    counts.add(at_ns, values)
    return counts.spread


class _Gaps:
    """The spread of a figure that has one value per gap, by the time at which the gap ended."""

    def __init__(self, quantity: Quantity, window: WindowFlow, slices: Slices) -> None:
        self.quantity = quantity
        self._per_token = quantity.figure == "itl"
        self._window = window
        self._slices = slices
        self._sums, self._numbers = np.zeros(slices.count), np.zeros(slices.count)
        self._counts: PercentileCounts | None = None
        if quantity.percent is not None:
            sample = window.itl if self._per_token else window.icl
            self._counts = PercentileCounts(sample.ordered(), quantity.percent, slices)

    def add(self, events: Events) -> None:
        wanted = self._window.counts(events, per_token=self._per_token)
        at_ns, gaps = events.ns[wanted], events.gap_ns[wanted] / NS_PER_MS
        if self._per_token:
            gaps = gaps / events.tokens[wanted]
        if self._counts is not None:
            self._counts.add(at_ns, gaps)
        self._sums += self._slices.sums(at_ns, gaps)
        self._numbers += self._slices.sums(at_ns)

    def spread(self, rng: np.random.Generator) -> Spread:
        if self._counts is not None:
            return self._counts.spread(rng)
        return ratio_spread(self._sums, self._numbers, self._slices, rng)
