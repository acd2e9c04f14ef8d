"""Runs of an imaginary server whose speed drifts, for simulations of what a comparison concludes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.arrays import Floats, Ints
from bench.compare.difference import Difference, Estimate, difference
from bench.compare.resampling import PercentileCounts, Slices
from bench.figures.stats import Sorted, interpolate
from bench.figures.window import Span

_WINDOW = Span(0, 60_000)  # ms


@dataclass(frozen=True, slots=True)
class ImaginaryServer:
    """Latencies are lognormal, with a standard deviation of 25 %.

    On top of that the server's speed wanders by `drift` (a standard deviation) within a run and remembers it for
    `memory_ms`, and each run as a whole is faster or slower by `between`.
    """

    drift: float = 0.1
    memory_ms: float = 1_000.0
    between: float = 0.0

    def run(self, rng: np.random.Generator, requests: int, slower: float = 1.0) -> tuple[Ints, Floats]:
        """When each request was sent, and how long it took."""
        sent = np.sort(rng.integers(_WINDOW.begin_ns, _WINDOW.end_ns, requests))
        wander = self._wander(rng)[sent // 100]
        logs = wander + rng.normal(0, 0.25, requests) + rng.normal(0, self.between)
        return sent, 200 * slower * np.exp(logs)

    def _wander(self, rng: np.random.Generator) -> Floats:
        """The drift in steps of 100 ms."""
        steps = _WINDOW.length_ns // 100
        keep = float(np.exp(-100 / self.memory_ms)) if self.memory_ms else 0.0
        noise = rng.normal(0, self.drift * np.sqrt(1 - keep**2), steps)
        wander = np.empty(steps)
        wander[0] = rng.normal(0, self.drift)
        for step in range(1, steps):
            wander[step] = keep * wander[step - 1] + noise[step]
        return wander


def compared(
    server: ImaginaryServer, rng: np.random.Generator, *, runs: int, percent: float, slower: float = 1.0
) -> Difference:
    """The difference that is found between the server and itself, or one that is `slower`."""
    sides = [[_estimate(server, rng, percent, factor) for _ in range(runs)] for factor in (1.0, slower)]
    return difference(*sides)


def _estimate(server: ImaginaryServer, rng: np.random.Generator, percent: float, slower: float) -> Estimate:
    sent, values = server.run(rng, 1_500, slower)
    counts = PercentileCounts(Sorted(values), percent, Slices(_WINDOW, request_ns=200))
    counts.add(sent, values)
    spread = counts.spread(rng)
    return Estimate(interpolate(Sorted(values), percent), spread.variance, spread.blocks)
