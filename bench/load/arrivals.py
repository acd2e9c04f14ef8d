"""Gaps between arrivals, drawn from a seed; and the distribution that they should have. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Literal

Process = Literal["poisson", "constant", "gamma"]


def gaps_s(process: Process, rate: float, burstiness: float, seed: int) -> Iterator[float]:
    """Seconds from one arrival to the next, without end; their mean is 1 / `rate`.

    A gamma process has gaps of shape `burstiness`: under 1 they bunch, 1 is Poisson, far over 1 is nearly constant
    (the meaning of `vllm bench serve --burstiness`).
    """
    if process == "constant":
        while True:
            yield 1 / rate
    draw = Random(f"{seed}/arrivals")
    shape = 1.0 if process == "poisson" else burstiness
    while True:
        yield draw.expovariate(rate) if shape == 1 else draw.gammavariate(shape, 1 / (rate * shape))


def gap_cdf(process: Process, rate: float, burstiness: float, gap_s: float) -> float:
    """The probability of a gap of at most `gap_s`."""
    if gap_s <= 0:
        return 0.0
    if process == "constant":
        return 1.0 if gap_s >= 1 / rate else 0.0
    shape = 1.0 if process == "poisson" else burstiness
    x = gap_s * rate * shape
    return _lower_gamma_share(shape, x) if x > 0 else 0.0  # the product of tiny numbers may be nothing


def _lower_gamma_share(shape: float, x: float) -> float:
    """The regularized lower incomplete gamma function P(shape, x).

    By its series where x is small, else by the continued fraction of its complement (Abramowitz and Stegun 6.5.29,
    6.5.31, evaluated by Lentz's method).
    """
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        step = shape
        while abs(term) > 1e-15 * abs(total):
            step += 1
            term *= x / step
            total += term
        return min(1.0, front * total)
    tiny = 1e-300
    b = x + 1 - shape
    c, d = 1 / tiny, 1 / b
    fraction = d
    for n in range(1, 500):
        a = -n * (n - shape)
        b += 2
        d = 1 / _away_from_zero(a * d + b, tiny)
        c = _away_from_zero(b + a / c, tiny)
        fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return max(0.0, 1 - front * fraction)


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
