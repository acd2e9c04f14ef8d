"""Percentiles with their uncertainty: exact values, order-statistic intervals, and none without enough samples.

The interval of a percentile lies between two order statistics of the sample. The number of samples below the true
percentile is binomial, so the probability that it lies between them needs no assumption about the distribution
(H. A. David, H. N. Nagaraja, Order Statistics, 3rd ed., §7.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from bench.arrays import Floats, Ints
from bench.records.result import Distribution, Percentile, percent_key

CONFIDENCE = 0.95


def needed_samples(percent: float) -> int:
    """The smallest sample that bounds this percentile on its far side with 95 % confidence: 299 for p99."""
    share = max(percent, 100 - percent) / 100
    if share >= 1:
        return 1
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(share))


class Ordered(Protocol):
    """A sample in order; `at(rank)` is the value of a rank, counted from 0."""

    @property
    def n(self) -> int: ...

    def at(self, rank: int) -> float: ...


class Sorted:
    """A sample that is kept whole, in order."""

    def __init__(self, values: Floats) -> None:
        self.values = np.sort(values)

    @property
    def n(self) -> int:
        return len(self.values)

    def at(self, rank: int) -> float:
        """The value of a rank, from 0."""
        return float(self.values[rank])


def describe(values: Floats, percents: Iterable[float], reason: str | None = None) -> Distribution:
    """The figures of a sample; `reason` explains why it is empty, if it is."""
    n = len(values)
    if n == 0:
        return nothing(percents, reason or "no samples")
    ordered = Sorted(values)
    return Distribution(
        n=n,
        mean=float(ordered.values.mean()),
        min=ordered.at(0),
        max=ordered.at(n - 1),
        percentiles={percent_key(p): percentile(ordered, p) for p in percents},
    )


def nothing(percents: Iterable[float], reason: str) -> Distribution:
    """The figures of an empty sample, with the reason why it is empty."""
    return Distribution(
        n=0, percentiles={percent_key(p): Percentile(value=None, reason=reason) for p in percents}, reason=reason
    )


def percentile(ordered: Ordered, percent: float, design_effect: float = 1.0) -> Percentile:
    """One percentile of a sample, by linear interpolation (NumPy's default).

    `design_effect` is how many of these samples carry as much information as one independent sample, because samples
    that belong together resemble each other. The interval is that of a sample smaller by this factor (L. Kish, Survey
    Sampling, 1965, §8.2; R. S. Woodruff, JASA 47, 1952).
    """
    n = ordered.n
    needed = needed_samples(percent)
    if n < needed:
        return Percentile(value=None, reason=f"p{percent:g} needs {needed:,} samples, there are {n:,}")
    low, high = _ranks(n, percent / 100, max(design_effect, 1.0))
    return Percentile(
        value=interpolate(ordered, percent),
        low=None if low is None else ordered.at(low - 1),
        high=None if high is None else ordered.at(high - 1),
    )


def interpolate(ordered: Ordered, percent: float) -> float:
    """The value at a percentile of a sample that is not empty."""
    rank = percent / 100 * (ordered.n - 1)
    below = math.floor(rank)
    value = ordered.at(below)
    return value if rank == below else value + (ordered.at(below + 1) - value) * (rank - below)


def _ranks(n: int, share: float, design_effect: float) -> tuple[int | None, int | None]:
    """Ranks (from 1) that enclose a quantile of a sample as informative as `n / design_effect` independent ones."""
    worth = max(1, int(n / design_effect))
    low, high = interval_ranks(worth, share)
    if worth == n:
        return low, high
    return (
        None if low is None else max(1, math.floor(low / (worth + 1) * (n + 1))),
        None if high is None else min(n, math.ceil(high / (worth + 1) * (n + 1))),
    )


def with_failures(values: Floats, failures: int, percents: Sequence[float]) -> dict[str, Percentile]:
    """Percentiles of a sample to which each failed request adds +∞."""
    finite, n = np.sort(values), len(values) + failures
    found: dict[str, Percentile] = {}
    for percent in percents:
        needed = needed_samples(percent)
        rank = percent / 100 * (n - 1)
        below, above = math.floor(rank), math.ceil(rank)
        if n < needed:
            figure = Percentile(value=None, reason=f"p{percent:g} needs {needed:,} requests, there are {n:,}")
        elif above >= len(finite):
            figure = Percentile(value=None, reason=f"infinite: {failures:,} of {n:,} requests failed")
        else:
            value = finite[below] + (finite[above] - finite[below]) * (rank - below)
            low, high = (None if r is None or r > len(finite) else r for r in interval_ranks(n, percent / 100))
            figure = Percentile(
                value=float(value),
                low=None if low is None else float(finite[low - 1]),
                high=None if high is None else float(finite[high - 1]),
            )
        found[percent_key(percent)] = figure
    return found


def interval_ranks(n: int, share: float) -> tuple[int | None, int | None]:
    """Ranks (from 1) of the order statistics that enclose the quantile `share` with at least 95 % confidence.

    None marks a side on which even the extreme of the sample is not a bound. Each side may miss with a probability of
    2.5 %. A side that needs more takes more, as long as both together stay within 5 %.
    """
    if not 0 < share < 1:
        return (n, n) if share >= 1 else (1, 1)
    counts, below = _binomial_cdf(n, share)  # below[i] = P(B <= counts[i])
    miss_low, miss_high = _share_miss(at_least_low=(1 - share) ** n, at_least_high=share**n)
    low = int(counts[0]) + int(np.searchsorted(below, miss_low, side="right"))  # largest l with P(B <= l-1) <= miss
    high = (
        int(counts[0]) + int(np.searchsorted(below, 1 - miss_high, side="left")) + 1
    )  # least u with P(B >= u) <= miss
    return (low if low >= 1 else None), (high if high <= n else None)


def _share_miss(*, at_least_low: float, at_least_high: float) -> tuple[float, float]:
    """How often each side may miss, given how often it misses even with the extreme of the sample as its bound."""
    miss = 1 - CONFIDENCE
    if miss / 2 < at_least_high <= miss:
        return miss - at_least_high, at_least_high * (1 + 1e-9)
    if miss / 2 < at_least_low <= miss:
        return at_least_low * (1 + 1e-9), miss - at_least_low
    return miss / 2, miss / 2


def _binomial_cdf(n: int, share: float) -> tuple[Ints, Floats]:
    """The binomial distribution function, over the counts where it is neither 0 nor 1 to double precision."""
    mean, spread = n * share, math.sqrt(n * share * (1 - share))
    first = max(0, math.floor(mean - 12 * spread - 12))
    last = min(n, math.ceil(mean + 12 * spread + 12))
    counts = np.arange(first, last + 1, dtype=np.int64)
    steps = np.log((n - counts[:-1]) / counts[1:]) + math.log(share / (1 - share))  # log of pmf(k+1) / pmf(k)
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    masses = np.exp(logs - logs.max())
    return counts, np.cumsum(masses / masses.sum())
