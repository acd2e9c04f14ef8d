from __future__ import annotations

import math

import numpy as np
import pytest

from bench.compare.resampling import (
    MOST_BLOCKS,
    REPLICATES,
    SLICES,
    Sliced,
    block_weights,
    percentile_spread,
    rate_spread,
    slices_of,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def spread_evenly(n: int, times: int = 1) -> Sliced:
    """Independent values in random slices, each `times` times in its slice."""
    values = np.exp(rng().normal(0, 0.3, n)) * 100
    slices = np.random.default_rng(8).integers(0, SLICES, n)
    return Sliced(np.repeat(values, times), np.repeat(slices, times), SLICES)


def test_moments_lie_in_slices_of_equal_length() -> None:
    moments = np.array([1_000, 1_009, 1_010, 1_099, 1_100, 900], dtype=np.int64)
    assert slices_of(moments, 1_000, 1_100, 10).tolist() == [0, 0, 1, 9, 9, 0]


def test_each_replicate_draws_whole_blocks_and_each_slice_is_as_likely_as_any() -> None:
    weights, blocks = block_weights(120, 15, rng())
    assert blocks == 8
    assert weights.shape == (REPLICATES, 120)
    assert (weights.sum(axis=1) == 120).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(120), abs=0.15)
    changes = (np.diff(weights, axis=1, append=weights[:, :1]) != 0).sum(axis=1)
    assert (changes <= 2 * blocks).all()  # each block is one stretch, around the end if need be


def test_blocks_are_at_least_a_twelfth_of_the_run() -> None:
    assert block_weights(400, 1, rng())[1] == MOST_BLOCKS


def test_the_spread_of_a_median_is_the_one_that_theory_gives() -> None:
    found = percentile_spread(spread_evenly(4_000), 50, 1, rng())
    assert found.variance == pytest.approx(math.pi / 2 * 0.3**2 / 4_000, rel=0.5)


def test_values_that_come_together_count_as_one() -> None:
    once, often = (percentile_spread(spread_evenly(4_000, times), 90, 1, rng()) for times in (1, 8))
    assert often.variance == pytest.approx(once.variance, rel=0.1)


def test_a_server_that_drifts_has_a_wider_spread() -> None:
    steady = spread_evenly(4_000)
    drift = np.exp(0.3 * np.sin(steady.slice / SLICES * 4 * math.pi))
    drifting = Sliced(steady.values * drift, steady.slice, SLICES)
    assert percentile_spread(drifting, 50, 1, rng()).variance > 10 * percentile_spread(steady, 50, 1, rng()).variance


def test_a_sample_of_one_value_does_not_vary() -> None:
    sample = Sliced(np.full(50, 20.0), np.arange(50), 50)
    assert percentile_spread(sample, 99, 1, rng()).variance == pytest.approx(0)


def test_the_spread_of_a_rate_is_that_of_a_count() -> None:
    amounts = rng().poisson(25, SLICES).astype(np.float64)
    assert rate_spread(amounts, 1, rng()).variance == pytest.approx(1 / amounts.sum(), rel=0.5)
