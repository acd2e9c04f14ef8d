from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from bench.arrays import Floats, Ints
from bench.compare.resampling import (
    MOST_BLOCKS,
    REPLICATES,
    PercentileCounts,
    Slices,
    Spread,
    block_weights,
    ratio_spread,
)
from bench.figures.stats import Sorted
from bench.figures.window import Span

WINDOW = Span(5_000, 45_000)
SLICES = Slices(WINDOW, request_ns=0)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def moments(n: int, seed: int = 7) -> Ints:
    return np.random.default_rng(seed).integers(WINDOW.begin_ns, WINDOW.end_ns, n)


def independent(n: int, seed: int = 8) -> Floats:
    return np.exp(np.random.default_rng(seed).normal(0, 0.3, n)) * 100


def average(spread: Callable[[int], Spread]) -> float:
    """The variance that many runs find on average: one with 12 blocks may be off by half."""
    return float(np.mean([spread(seed).variance for seed in range(100, 140)]))


def spread_of(percent: float, at_ns: Ints, values: Floats, pieces: int = 1) -> Spread:
    counts = PercentileCounts(Sorted(values), percent, SLICES)
    for piece in np.array_split(np.arange(len(values)), pieces):
        counts.add(at_ns[piece], values[piece])
    return counts.spread(rng())


def test_moments_lie_in_slices_of_equal_length() -> None:
    slices = Slices(Span(1_000, 1_100), request_ns=0, count=10)
    at_ns = np.array([1_000, 1_009, 1_010, 1_099, 1_100, 900], dtype=np.int64)
    assert slices.of(at_ns).tolist() == [0, 0, 1, 9, 9, 0]
    assert slices.sums(at_ns).tolist() == [3, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert slices.sums(at_ns, np.arange(6.0)).tolist() == [6, 2, 0, 0, 0, 0, 0, 0, 0, 7]


def test_each_replicate_draws_whole_blocks_and_each_slice_is_as_likely_as_any() -> None:
    weights, blocks = block_weights(rng().normal(size=120), Slices(WINDOW, request_ns=5_000, count=120), rng())
    assert blocks == 8
    assert weights.shape == (REPLICATES, 120)
    assert (weights.sum(axis=1) == 120).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(120), abs=0.15)
    changes = (np.diff(weights, axis=1, append=weights[:, :1]) != 0).sum(axis=1)
    assert (changes <= 2 * blocks).all()  # each block is one stretch, around the end if need be


def test_blocks_are_at_least_a_twelfth_of_the_run() -> None:
    assert block_weights(rng().normal(size=400), SLICES, rng())[1] == MOST_BLOCKS


def test_blocks_are_as_long_as_the_figure_drifts() -> None:
    slow = np.sin(np.arange(400) / 400 * 2 * math.pi)
    assert block_weights(slow, SLICES, rng())[1] < MOST_BLOCKS


def test_the_spread_of_a_median_is_the_one_that_theory_gives() -> None:
    found = average(lambda seed: spread_of(50, moments(4_000, seed), independent(4_000, -seed % 1_000)))
    assert found == pytest.approx(math.pi / 2 * 0.3**2 / 4_000, rel=0.2)


def test_values_may_come_in_pieces() -> None:
    at_ns, values = moments(500), independent(500)
    assert spread_of(95, at_ns, values, pieces=7) == spread_of(95, at_ns, values)


def test_values_that_come_together_count_as_one() -> None:
    at_ns, values = moments(4_000), independent(4_000)
    once, often = spread_of(90, at_ns, values), spread_of(90, np.repeat(at_ns, 8), np.repeat(values, 8))
    assert often.variance == pytest.approx(once.variance, rel=0.1)


def test_a_server_that_drifts_has_a_wider_spread() -> None:
    at_ns, values = moments(4_000), independent(4_000)
    drift = np.exp(0.3 * np.sin(at_ns / WINDOW.length_ns * 4 * math.pi))
    assert spread_of(50, at_ns, values * drift).variance > 10 * spread_of(50, at_ns, values).variance


def test_a_sample_of_one_value_does_not_vary() -> None:
    assert spread_of(99, moments(50), np.full(50, 20.0)).variance == pytest.approx(0)


def test_the_spread_of_a_rate_is_that_of_a_count() -> None:
    def spread(seed: int) -> Spread:
        return ratio_spread(SLICES.sums(moments(10_000, seed)), np.ones(SLICES.count), SLICES, rng())

    # of a fixed number of events, the rate in the whole window does not vary, but that of the replicates does
    assert average(spread) == pytest.approx(1 / 10_000, rel=0.2)


def test_the_spread_of_a_mean_is_the_one_that_theory_gives() -> None:
    def spread(seed: int) -> Spread:
        at_ns, values = moments(4_000, seed), independent(4_000, -seed % 1_000)
        return ratio_spread(SLICES.sums(at_ns, values), SLICES.sums(at_ns), SLICES, rng())

    values = independent(4_000)
    assert average(spread) == pytest.approx(values.var() / values.mean() ** 2 / 4_000, rel=0.2)


def test_slices_in_which_nothing_happened_do_no_harm() -> None:
    amounts = np.zeros(SLICES.count)
    amounts[3] = 1.0
    assert ratio_spread(amounts, amounts, SLICES, rng()).variance == pytest.approx(0)
