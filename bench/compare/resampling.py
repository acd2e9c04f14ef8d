"""How far a figure of one run would differ if the run were repeated: blocks of time are resampled. Pure.

Requests that are in progress together wait for the same server, so they resemble each other, and resampling single
requests would promise too much. A run is therefore cut into short slices of time, and blocks of successive slices are
drawn with replacement, around the end to the beginning (the circular block bootstrap: D. N. Politis, J. P. Romano, in
Exploring the Limits of Bootstrap, 1992). A block is as long as the correlation of the figure itself requires
(`block_length`), at least as long as a request takes, and at least a twelfth of the run: a server that drifts slowly
looks steady to shorter blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.arrays import Floats, Ints
from bench.compare.block_length import block_length
from bench.figures.stats import Ordered
from bench.figures.window import Span

SLICES = 400
"""Into so many slices a run is cut."""
MOST_BLOCKS = 12
REPLICATES = 1000

_NEAR, _FAR = 300, 100  # thresholds near the percentile, and over the whole sample
_REACH = 15  # the near ones reach so many standard errors of independent samples


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance of the logarithm of a figure, and the number of blocks that it rests on."""

    variance: float
    blocks: int


class Slices:
    """A window, cut into slices of equal length. `least_block` is the least length of a block, in slices."""

    def __init__(self, span: Span, request_ns: float, count: int = SLICES) -> None:
        """`request_ns` is how long a request takes."""
        self.count = count
        self.least_block = max(count / MOST_BLOCKS, request_ns / span.length_ns * count)
        self._span = span

    def of(self, at_ns: Ints) -> Ints:
        """The slice of each moment. Moments outside of the window belong to the first or the last slice."""
        position = (at_ns - self._span.begin_ns) * (self.count / self._span.length_ns)
        return np.clip(position.astype(np.int64), 0, self.count - 1)

    def sums(self, at_ns: Ints, amounts: Floats | None = None) -> Floats:
        """The sum of the amounts in each slice; without amounts, their number."""
        found: Floats = np.bincount(self.of(at_ns), weights=amounts, minlength=self.count).astype(np.float64)
        return found


class PercentileCounts:
    """Counts, in each slice, how many values are at most each of some thresholds around a percentile.

    Values are positive. They are added piece by piece, so that a sample of any size takes the same memory.
    """

    def __init__(self, ordered: Ordered, percent: float, slices: Slices) -> None:
        self._share = percent / 100
        self._slices = slices
        self._thresholds = _thresholds(ordered, self._share)
        self._counts = np.zeros((slices.count, len(self._thresholds) + 1), dtype=np.int64)

    def add(self, at_ns: Ints, values: Floats) -> None:
        """Add values by the moments at which they were taken."""
        column = np.searchsorted(self._thresholds, values, side="left")
        cells = self._slices.of(at_ns) * self._counts.shape[1] + column
        self._counts += np.bincount(cells, minlength=self._counts.size).reshape(self._counts.shape)

    def spread(self, rng: np.random.Generator) -> Spread:
        """How far the percentile varies."""
        below = self._counts[:, :-1].cumsum(axis=1, dtype=np.float64)
        all_below, sizes = below.sum(axis=0), self._counts.sum(axis=1, dtype=np.float64)
        middle = min(int(np.searchsorted(all_below, self._share * sizes.sum())), below.shape[1] - 1)
        excess = below[:, middle] - all_below[middle] / sizes.sum() * sizes
        weights, blocks = block_weights(excess, self._slices, rng)
        drawn = _quantiles(weights @ below, weights @ sizes * self._share, self._thresholds)
        return Spread(_variance(np.log(drawn), blocks), blocks)


def ratio_spread(amounts: Floats, per: Floats, slices: Slices, rng: np.random.Generator) -> Spread:
    """How far a ratio of sums varies: a mean (values per count) or a rate (amounts per slice)."""
    excess = amounts - amounts.sum() / per.sum() * per
    weights, blocks = block_weights(excess, slices, rng)
    drawn, of = weights @ amounts, weights @ per
    usable = (drawn > 0) & (of > 0)  # a replicate may consist of slices without any
    return Spread(_variance(np.log(drawn[usable] / of[usable]), blocks), blocks)


def block_weights(excess: Floats, slices: Slices, rng: np.random.Generator) -> tuple[Floats, int]:
    """How often each slice was drawn, a row per replicate, and the number of blocks in a replicate.

    `excess` is by how much each slice raises the figure: its correlation determines the length of a block.
    """
    count = slices.count
    size = min(math.ceil(max(block_length(excess), slices.least_block)), count)
    blocks = max(1, round(count / size))
    starts = rng.integers(0, count, (REPLICATES, blocks))
    columns = 2 * count + 1
    cells = starts + np.arange(REPLICATES)[:, None] * columns
    steps = _numbers(cells, columns) - _numbers(cells + size, columns)
    covered = steps.cumsum(axis=1)[:, :-1]
    return covered[:, :count] + covered[:, count:], blocks


def _numbers(cells: Ints, columns: int) -> Floats:
    """How many of the cells there are at each place, a row per replicate."""
    found = np.bincount(cells.ravel(), minlength=REPLICATES * columns)
    return found.reshape(REPLICATES, columns).astype(np.float64)


def _variance(logs: Floats, blocks: int) -> float:
    """Replicates of few blocks vary too little, as the mean of few values does around itself."""
    return float(logs.var()) * blocks / max(1, blocks - 1) if len(logs) else math.inf


def _thresholds(ordered: Ordered, share: float) -> Floats:
    """Values of the sample in order, densest around the percentile; its largest is among them."""
    n = ordered.n
    near = share + math.sqrt(share * (1 - share) / n) * np.linspace(-_REACH, _REACH, _NEAR)
    wanted = np.concatenate((near, np.linspace(0, 1, _FAR))) * (n - 1)
    ranks = np.unique(np.clip(wanted, 0, n - 1).round().astype(np.int64))
    return np.unique([ordered.at(int(rank)) for rank in ranks])


def _quantiles(counts: Floats, wanted: Floats, thresholds: Floats) -> Floats:
    """By row: where the count up to a threshold reaches what is wanted, by linear interpolation."""
    above = np.minimum((counts < wanted[:, None]).sum(axis=1), len(thresholds) - 1)
    below = np.maximum(above - 1, 0)
    rows = np.arange(len(counts))
    low, high = counts[rows, below], counts[rows, above]
    part = np.where(high > low, (wanted - low) / np.where(high > low, high - low, 1), 1.0)
    found: Floats = thresholds[below] + np.clip(part, 0, 1) * (thresholds[above] - thresholds[below])
    return found
