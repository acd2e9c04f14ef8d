"""How long a block of a correlated series must be, so that blocks can be resampled as if they were independent. Pure.

The rule is that of D. N. Politis and H. White (Econometric Reviews 23, 2004), for circular blocks, as corrected by
A. Patton, D. N. Politis and H. White (Econometric Reviews 28, 2009).
"""

from __future__ import annotations

import math

import numpy as np

from bench.arrays import Floats

_CRITICAL = 2.0
"""A correlation counts as zero below this many times sqrt(log10(n) / n)."""
_FEWEST_LAGS = 5


def block_length(series: Floats) -> float:
    """The number of successive values in a block; 1 for a series without correlation.

    It is at most a third of the series and at most three times its square root, as the authors recommend.
    """
    n = len(series)
    most = math.ceil(min(3 * math.sqrt(n), n / 3))
    deviations = series - series.mean()
    lags_in_a_row = max(_FEWEST_LAGS, math.ceil(math.log10(n)))
    covariances = _autocovariances(deviations, min(n - 1, math.ceil(math.sqrt(n)) + lags_in_a_row))
    if covariances[0] <= 0:
        return 1.0
    lags = min(2 * _last_lag(covariances / covariances[0], n, lags_in_a_row), len(covariances) - 1)
    if lags == 0:
        return 1.0
    numbers = np.arange(1, lags + 1)
    weighted = _flat_top(numbers / lags) * covariances[1 : lags + 1]
    slope = 2 * float((weighted * numbers).sum())
    level = float(covariances[0] + 2 * weighted.sum())
    if level <= 0:
        return 1.0
    length: float = (2 * slope**2 / (4 / 3 * level**2)) ** (1 / 3) * n ** (1 / 3)
    return min(max(1.0, length), float(most))


def _autocovariances(deviations: Floats, lags: int) -> Floats:
    n = len(deviations)
    return np.array([float(deviations[: n - lag] @ deviations[lag:]) / n for lag in range(lags + 1)])


def _last_lag(correlations: Floats, n: int, in_a_row: int) -> int:
    """The lag after which `in_a_row` correlations count as zero; if there is none, the last that does not."""
    matters = np.abs(correlations[1:]) >= _CRITICAL * math.sqrt(math.log10(n) / n)
    for lag in range(len(matters) - in_a_row + 1):
        if not matters[lag : lag + in_a_row].any():
            return lag
    return int(np.flatnonzero(matters)[-1]) + 1 if matters.any() else 0


def _flat_top(share: Floats) -> Floats:
    """The window of the authors: 1 up to a half, then a straight line to 0 at 1."""
    window: Floats = np.clip(2 * (1 - share), 0, 1)
    return window
