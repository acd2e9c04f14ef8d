"""Student's t distribution: its distribution function and its quantiles, for any number of degrees of freedom. Pure.

The distribution function is a regularised incomplete beta function (Abramowitz and Stegun, 26.7.1), computed from its
continued fraction (DLMF 8.17.22) with the algorithm of Lentz in the form of Thompson and Barnett (1986).
"""

from __future__ import annotations

import math
from functools import lru_cache

_MOST_TERMS = 10_000
_PRECISION = 1e-14
_TINY = 1e-300


def probability(t: float, freedom: float) -> float:
    """The probability of a value below `t`."""
    tail = _beta(freedom / (freedom + t * t), t * t / (freedom + t * t), freedom / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


@lru_cache(maxsize=1024)
def quantile(share: float, freedom: float) -> float:
    """The value below which `share` of the distribution lies. Raises ValueError outside of 0 < share < 1."""
    if not 0 < share < 1:
        raise ValueError(f"must lie between 0 and 1 (got {share})")
    if share < 0.5:
        return -quantile(1 - share, freedom)
    low, high = 0.0, 1.0
    while probability(high, freedom) < share:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if probability(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def _beta(x: float, rest: float, a: float, b: float) -> float:
    """The regularised incomplete beta function at `x`, of which `rest` is 1 - x without the loss of a subtraction.

    The continued fraction converges fast on one side of the mean.
    """
    if x <= 0 or rest <= 0:
        return float(rest <= 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(rest, x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    return math.exp(log_front) / a / _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    value, upper, lower = 1.0, 1.0, 0.0
    for term in range(1, _MOST_TERMS):
        half = term // 2
        if term % 2:
            step = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            step = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        lower = 1 / _away_from_zero(1 + step * lower)
        upper = _away_from_zero(1 + step / upper)
        value *= upper * lower
        if abs(upper * lower - 1) < _PRECISION:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
