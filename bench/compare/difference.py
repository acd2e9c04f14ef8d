"""The relative difference of a figure between two sides: its interval, and what it could have shown. Pure.

Figures are compared by their logarithms, so that a change is a ratio and "twice" and "half" are equally far from none.
With several runs on each side, the runs are what varies: each side's variance is that of its runs, but at least what
varies within them. With one run on a side, only what varies within it is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.compare.student import probability, quantile

CONFIDENCE = 0.95
POWER = 0.8
"""The probability with which `Difference.smallest` would have been shown."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A positive figure of one run, the variance of its logarithm within the run, and how many blocks that rests on."""

    value: float
    variance: float
    blocks: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The ratio of the second side to the first, minus 1: 0.05 is 5 % more.

    `low` and `high` are its 95 % interval. `smallest` is the change that would have been shown with a probability of
    80 %. `error` is the standard error of the logarithm of the ratio, which has `freedom` degrees of freedom.
    """

    before: float
    after: float
    log_ratio: float
    error: float
    freedom: float

    @property
    def change(self) -> float:
        return math.expm1(self.log_ratio)

    @property
    def low(self) -> float:
        return self.interval(CONFIDENCE)[0]

    @property
    def high(self) -> float:
        return self.interval(CONFIDENCE)[1]

    def interval(self, confidence: float) -> tuple[float, float]:
        """The interval with this confidence."""
        reach = quantile((1 + confidence) / 2, self.freedom) * self.error
        return math.expm1(self.log_ratio - reach), math.expm1(self.log_ratio + reach)

    @property
    def smallest(self) -> float:
        steps = quantile((1 + CONFIDENCE) / 2, self.freedom) + quantile(POWER, self.freedom)
        return math.expm1(steps * self.error)

    @property
    def p_value(self) -> float:
        """The probability of a difference at least this large if there is none."""
        return 2 * self._tail(-abs(self.log_ratio))

    def p_above(self, limit: float) -> float:
        """The probability of a change at least this large if the true one is at most `limit`."""
        return self._tail(math.log1p(limit) - self.log_ratio)

    def p_below(self, limit: float) -> float:
        """The probability of a change at most this large if the true one is at least `limit`."""
        return self._tail(self.log_ratio - math.log1p(limit))

    def _tail(self, distance: float) -> float:
        if self.error == 0:
            return 0.5 * (1 + (distance > 0) - (distance < 0))
        return probability(distance / self.error, self.freedom)


def difference(before: Sequence[Estimate], after: Sequence[Estimate]) -> Difference:
    """The difference between the runs of two sides, of which each has at least one."""
    (first, first_variance, first_freedom), (second, second_variance, second_freedom) = _side(before), _side(after)
    variance = first_variance + second_variance
    parts = first_variance**2 / first_freedom + second_variance**2 / second_freedom
    return Difference(
        before=math.exp(first),
        after=math.exp(second),
        log_ratio=second - first,
        error=math.sqrt(variance),
        freedom=max(1.0, variance**2 / parts) if parts > 0 else first_freedom + second_freedom,
    )


def _side(runs: Sequence[Estimate]) -> tuple[float, float, float]:
    """The mean logarithm of a side, its variance, and the degrees of freedom (B. L. Welch, Biometrika 34, 1947)."""
    logs = np.log([run.value for run in runs])
    within = float(np.mean([run.variance for run in runs]))
    mean = float(logs.mean())
    if len(runs) == 1:
        return mean, within, max(1.0, runs[0].blocks - 1)
    return mean, max(float(logs.var(ddof=1)), within) / len(runs), len(runs) - 1
