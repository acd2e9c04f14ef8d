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

SLICES = 400
"""Into so many slices a run is cut."""
MOST_BLOCKS = 12
REPLICATES = 1000
_THRESHOLDS = 400


@dataclass(frozen=True, slots=True)
class Sliced:
    """A sample of a run: its values, and the slice of time in which each lies."""

    values: Floats
    slice: Ints
    slices: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance of the logarithm of a figure, and the number of blocks that it was computed from."""

    variance: float
    blocks: int


def slices_of(at_ns: Ints, begin_ns: int, end_ns: int, slices: int = SLICES) -> Ints:
    """The slice of each moment of a window; moments outside of it belong to the first or the last slice."""
    position = (at_ns - begin_ns) * (slices / (end_ns - begin_ns))
    return np.clip(position.astype(np.int64), 0, slices - 1)


def percentile_spread(sample: Sliced, percent: float, least_length: float, rng: np.random.Generator) -> Spread:
    """The spread of a percentile of positive values. `least_length` is the least length of a block, in slices."""
    thresholds = _thresholds(sample.values, percent / 100)
    column = np.searchsorted(thresholds, sample.values, side="left")
    shape = (sample.slices, len(thresholds))
    counts = np.bincount(sample.slice * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape)
    below = counts.cumsum(axis=1, dtype=np.float64)  # by slice: how many values are at most each threshold
    total = below.sum(axis=0)
    middle = int(np.searchsorted(total, percent / 100 * total[-1]))
    excess = below[:, middle] - total[middle] / total[-1] * below[:, -1]
    weights, blocks = block_weights(sample.slices, max(block_length(excess), least_length), rng)
    drawn = weights @ below
    return Spread(_variance(np.log(_quantiles(drawn, thresholds, percent / 100)), blocks), blocks)


def rate_spread(amounts: Floats, least_length: float, rng: np.random.Generator) -> Spread:
    """The spread of a rate, from the amount in each slice, such as its tokens."""
    weights, blocks = block_weights(len(amounts), max(block_length(amounts), least_length), rng)
    rates = weights @ amounts / weights.sum(axis=1)
    return Spread(_variance(np.log(np.maximum(rates, 1e-300)), blocks), blocks)


def block_weights(slices: int, length: float, rng: np.random.Generator) -> tuple[Floats, int]:
    """How often each slice was drawn, a row per replicate, and the number of blocks in a replicate."""
    size = min(max(1, math.ceil(length), math.ceil(slices / MOST_BLOCKS)), slices)
    blocks = max(1, round(slices / size))
    starts = rng.integers(0, slices, (REPLICATES, blocks))
    rows = np.arange(REPLICATES)[:, None]
    steps = np.zeros((REPLICATES, 2 * slices + 1))
    np.add.at(steps, (rows, starts), 1)
    np.add.at(steps, (rows, starts + size), -1)
    covered = steps.cumsum(axis=1)[:, :-1]
    return covered[:, :slices] + covered[:, slices:], blocks


def _variance(logs: Floats, blocks: int) -> float:
    """Replicates of few blocks vary too little, as the mean of few values does around itself."""
    return float(logs.var()) * blocks / max(1, blocks - 1)


def _thresholds(values: Floats, share: float) -> Floats:
    """Values of the sample, in order, densest around the quantile; the largest is among them."""
    n = len(values)
    step = math.sqrt(share * (1 - share) / n)
    near = share + step * np.linspace(-15, 15, _THRESHOLDS * 3 // 4)
    far = np.linspace(0, 1, _THRESHOLDS // 4)
    ranks = np.unique(np.clip(np.concatenate((near, far)) * (n - 1), 0, n - 1).round().astype(np.int64))
    return np.unique(np.partition(values, ranks)[ranks])


def _quantiles(counts: Floats, thresholds: Floats, share: float) -> Floats:
    """The quantile of each row, which counts the values up to each threshold, by linear interpolation."""
    wanted = counts[:, -1] * share
    above = np.minimum((counts < wanted[:, None]).sum(axis=1), len(thresholds) - 1)
    below = np.maximum(above - 1, 0)
    rows = np.arange(len(counts))
    low, high = counts[rows, below], counts[rows, above]
    part = np.where(high > low, (wanted - low) / np.where(high > low, high - low, 1), 1.0)
    found: Floats = thresholds[below] + np.clip(part, 0, 1) * (thresholds[above] - thresholds[below])
    return found
