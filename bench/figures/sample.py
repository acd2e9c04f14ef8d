"""A sample that grows piece by piece: kept whole up to a size, counted in a histogram beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.arrays import Floats
from bench.figures.histogram import Histogram
from bench.figures.stats import Ordered, Sorted, interpolate, nothing, percentile
from bench.records.result import Distribution, percent_key

# 16 MB of values; the size of the histogram does not depend on the number of values.
EXACT_LIMIT = 2_000_000

# The errors of so many values are kept, evenly spread over the sample: a bound needs no more.
_ERRORS_KEPT = 200_000


class Sample:
    """Values in milliseconds, and how much each may be too large or too small."""

    def __init__(self, exact_limit: int = EXACT_LIMIT) -> None:
        self.n = 0
        self._exact_limit = exact_limit
        self._sum = 0.0
        self._min, self._max = np.inf, -np.inf
        self._kept: list[Floats] = []
        self._histogram: Histogram | None = None
        self._errors: list[Floats] = []  # rows of three: value, too large by, too small by
        self._stride = 1
        self._any_error = False

    @property
    def is_exact(self) -> bool:
        """Whether every value is kept."""
        return self._histogram is None

    def add(self, values: Floats, over: Floats | None = None, under: Floats | None = None) -> None:
        """Add values; each may be too large by `over` and too small by `under`."""
        if len(values) == 0:
            return
        self._sum += float(values.sum())
        self._min, self._max = min(self._min, float(values.min())), max(self._max, float(values.max()))
        if over is not None and under is not None:
            self._keep_errors(values, over, under)
        self.n += len(values)
        if self._histogram is not None:
            self._histogram.add(values)
            return
        self._kept.append(values)
        if self.n > self._exact_limit:
            self._histogram = Histogram()
            for part in self._kept:
                self._histogram.add(part)
            self._kept.clear()

    def distribution(
        self,
        percents: Sequence[float],
        reason: str,
        design_effects: Mapping[float, float] | None = None,
        client_error: float | None = None,
    ) -> Distribution:
        """The figures of the sample; `reason` explains why it is empty, if it is.

        `client_error` is added to the error that follows from the single values. It is None if that error is unknown.
        """
        if self.n == 0:
            return nothing(percents, reason)
        ordered = self.ordered()
        errors = self._percentile_errors(percents) if self._any_error else {}
        found = {}
        for percent in percents:
            figure = percentile(ordered, percent, (design_effects or {}).get(percent, 1.0))
            if figure.value is not None and client_error is not None:
                figure.client_error = errors.get(percent, 0.0) + client_error
            found[percent_key(percent)] = figure
        return Distribution(
            n=self.n,
            mean=self._sum / self.n,
            min=self._min,
            max=self._max,
            percentiles=found,
            exact=self.is_exact,
        )

    def ordered(self) -> Ordered:
        """The sample in order, from the histogram if it is no longer kept whole."""
        if self._histogram is not None:
            return Counted(self._histogram, self.n)
        return Sorted(np.concatenate(self._kept))

    def _keep_errors(self, values: Floats, over: Floats, under: Floats) -> None:
        self._any_error = self._any_error or bool(over.any() or under.any())
        first = -self.n % self._stride
        self._errors.append(np.stack((values, over, under))[:, first :: self._stride])
        if sum(part.shape[1] for part in self._errors) > 2 * _ERRORS_KEPT:
            self._errors = [np.concatenate(self._errors, axis=1)[:, ::2]]
            self._stride *= 2

    def _percentile_errors(self, percents: Sequence[float]) -> dict[float, float]:
        """How far each percentile moves if every value is off by as much as possible."""
        values, over, under = np.concatenate(self._errors, axis=1)
        middle, low, high = Sorted(values), Sorted(values - over), Sorted(values + under)
        found = {}
        for percent in percents:
            value = interpolate(middle, percent)
            found[percent] = max(value - interpolate(low, percent), interpolate(high, percent) - value)
        return found


class Counted:
    """A histogram, in order."""

    def __init__(self, histogram: Histogram, n: int) -> None:
        self._histogram, self._n = histogram, n

    @property
    def n(self) -> int:
        return self._n

    def at(self, rank: int) -> float:
        """The value of a rank, from 0."""
        return self._histogram.at_rank(rank)
