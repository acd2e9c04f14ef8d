from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arrays import Floats
from bench.compare.block_length import block_length


def autoregressive(share: float, n: int, seed: int = 1) -> Floats:
    rng, found = np.random.default_rng(seed), [0.0]
    for noise in rng.normal(size=n - 1):
        found.append(share * found[-1] + noise)
    return np.array(found)


def best_length(share: float, n: int) -> float:
    """The length that minimises the error for an autoregressive series, by the formula of Politis and White."""
    slope = 2 * share / (1 - share) ** 2 / (1 - share**2)  # the sum of |k| R(k), where R(0) = 1 / (1 - share²)
    level = 1 / (1 - share) ** 2
    return float((2 * slope**2 / (4 / 3 * level**2)) ** (1 / 3) * n ** (1 / 3))


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_it_is_near_the_best_length_of_a_series_that_is_known(share: float) -> None:
    n = 4000
    found = [block_length(autoregressive(share, n, seed)) for seed in range(20)]
    assert np.median(found) == pytest.approx(best_length(share, n), rel=0.25)


def test_values_without_correlation_need_no_blocks() -> None:
    found = [block_length(np.random.default_rng(seed).normal(size=400)) for seed in range(20)]
    assert np.median(found) < 3


def test_a_constant_series_needs_no_blocks() -> None:
    assert block_length(np.full(100, 7.0)) == 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200))
def test_it_is_never_longer_than_a_third_of_the_series_or_so(values: list[float]) -> None:
    assert 1 <= block_length(np.array(values)) <= max(1, -(-len(values) // 3), 3 * len(values) ** 0.5)
