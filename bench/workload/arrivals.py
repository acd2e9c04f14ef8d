"""Arrival processes of an open loop: one class each, from the gaps that it draws to what the records keep. Pure."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from random import Random
from typing import ClassVar, Literal, TypedDict

ProcessName = Literal["poisson", "constant", "gamma"]

GapCdf = Callable[[float], float]
"""The probability that a gap lasts at most so many seconds."""


class ArrivalFacts(TypedDict, total=False):
    """What a run's file keeps of the process, among the facts about its load."""

    arrivals: ProcessName
    rate: float
    burstiness: float


class Arrivals(ABC):
    """How requests that are sent at a `rate` (per second) are spread over time.

    `burstiness` has the meaning of `vllm bench serve --burstiness`: requests come in bunches under 1, independently of
    each other at 1, and evenly where it is infinite. A new process is a subclass, with its name in `ProcessName` and
    its constructor in `PROCESSES`.
    """

    name: ClassVar[ProcessName]
    rate: float
    burstiness: float

    @abstractmethod
    def gaps_s(self, seed: int) -> Iterator[float]:
        """Seconds from one arrival to the next, without end."""

    @property
    def gap_cdf(self) -> GapCdf | None:
        """The distribution of the gaps, None where they are not drawn from one."""
        return None

    @property
    def even_gap_s(self) -> float | None:
        """How long each gap is, None where gaps differ."""
        return None

    def steady_ns(self, begin_ns: int, end_ns: int) -> tuple[int, int] | None:
        """The part of the time of sending during which the rate stays the same, None where it never does."""
        return begin_ns, end_ns

    def describe(self) -> str:
        """The process in a few words, for the report."""
        return self.name

    def facts(self) -> ArrivalFacts:
        """What the records keep. `make_arrivals` makes the same process of it."""
        return {"arrivals": self.name, "rate": self.rate}


@dataclass(frozen=True)
class Poisson(Arrivals):
    """Requests that arrive independently of each other: gaps are exponential."""

    name: ClassVar[ProcessName] = "poisson"
    rate: float
    burstiness: float = field(default=1.0, init=False)

    def gaps_s(self, seed: int) -> Iterator[float]:
        draw = _random(seed)
        while True:
            yield draw.expovariate(self.rate)

    @property
    def gap_cdf(self) -> GapCdf:
        return partial(_gamma_cdf, self.rate, 1.0)


@dataclass(frozen=True)
class Constant(Arrivals):
    """Requests at even intervals."""

    name: ClassVar[ProcessName] = "constant"
    rate: float
    burstiness: float = field(default=math.inf, init=False)

    def gaps_s(self, seed: int) -> Iterator[float]:
        return repeat(1 / self.rate)

    @property
    def even_gap_s(self) -> float:
        return 1 / self.rate


@dataclass(frozen=True)
class Gamma(Arrivals):
    """Gaps of a gamma distribution, whose shape is `burstiness`: far over 1 they are nearly even."""

    name: ClassVar[ProcessName] = "gamma"
    rate: float
    burstiness: float

    def gaps_s(self, seed: int) -> Iterator[float]:
        draw, shape = _random(seed), self.burstiness
        while True:
            yield draw.expovariate(self.rate) if shape == 1 else draw.gammavariate(shape, 1 / (self.rate * shape))

    @property
    def gap_cdf(self) -> GapCdf:
        return partial(_gamma_cdf, self.rate, self.burstiness)

    def describe(self) -> str:
        return f"gamma {self.burstiness:g}"

    def facts(self) -> ArrivalFacts:
        return {"arrivals": self.name, "rate": self.rate, "burstiness": self.burstiness}


PROCESSES: dict[ProcessName, Callable[[float, float], Arrivals]] = {
    "poisson": lambda rate, _: Poisson(rate),
    "constant": lambda rate, _: Constant(rate),
    "gamma": Gamma,
}


def make_arrivals(name: ProcessName, rate: float, burstiness: float | None = None) -> Arrivals:
    """The process of that name."""
    return PROCESSES[name](rate, burstiness or 1.0)


def arrivals_by_burstiness(rate: float, burstiness: float) -> Arrivals:
    """The process that a burstiness amounts to."""
    if burstiness == math.inf:
        return Constant(rate)
    return Poisson(rate) if burstiness == 1 else Gamma(rate, burstiness)


def _random(seed: int) -> Random:
    return Random(f"{seed}/arrivals")


def _gamma_cdf(rate: float, shape: float, gap_s: float) -> float:
    if gap_s <= 0:
        return 0.0
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
