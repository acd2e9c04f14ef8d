"""Percentiles compared with NumPy, and their intervals with the binomial distribution and with simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.figures.stats import Sorted, describe, interval_ranks, needed_samples, percentile, with_failures

samples = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400)
percents = st.sampled_from([1.0, 10.0, 25.0, 50.0, 90.0, 95.0, 99.0, 99.9])


def at_most(n: int, share: float, k: int) -> float:
    """P(B <= k), by the definition."""
    return sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k + 1))


def test_samples_that_a_percentile_needs() -> None:
    assert [needed_samples(p) for p in (50, 90, 95, 99, 99.9)] == [5, 29, 59, 299, 2995]
    assert [needed_samples(p) for p in (10, 5, 1)] == [29, 59, 299]


@given(samples, percents)
def test_values_equal_numpys_and_need_samples_that_are_large_enough(values: list[float], percent: float) -> None:
    found = percentile(Sorted(np.array(values)), percent)
    if len(values) < needed_samples(percent):
        assert found.value is None
        assert f"needs {needed_samples(percent):,} samples, there are {len(values):,}" in str(found.reason)
    else:
        assert found.value == pytest.approx(float(np.percentile(values, percent)))
        assert found.low is None or found.low <= found.value
        assert found.high is None or found.value <= found.high


@given(st.integers(1, 160), st.floats(0.02, 0.98))
def test_intervals_hold_by_the_definition_of_the_binomial(n: int, share: float) -> None:
    low, high = interval_ranks(n, share)
    misses_low = 0.0 if low is None else at_most(n, share, low - 1)
    misses_high = 0.0 if high is None else 1 - at_most(n, share, high - 1)
    assert misses_low + misses_high <= 0.05 + 1e-9
    assert low is None or high is None or 1 <= low <= high <= n


def may_miss(n: int, share: float) -> tuple[float, float]:
    """Half of 5 % on each side; if one side needs more, the other side gets the rest."""
    least_low, least_high = (1 - share) ** n, share**n
    if 0.025 < least_high <= 0.05:
        return 0.05 - least_high, least_high
    if 0.025 < least_low <= 0.05:
        return least_low, 0.05 - least_low
    return 0.025, 0.025


@given(st.integers(1, 160), st.floats(0.02, 0.98))
@example(124, 0.023870332092177905)  # the low side takes all of the 5 % but a millionth
def test_intervals_are_no_wider_than_they_must_be(n: int, share: float) -> None:
    low, high = interval_ranks(n, share)
    miss_low, miss_high = may_miss(n, share)
    if low is not None and low < n:
        assert at_most(n, share, low) > miss_low - 1e-9
    if high is not None and high > 1:
        assert 1 - at_most(n, share, high - 2) > miss_high - 1e-9


@pytest.mark.parametrize(("n", "share"), [(299, 0.99), (900, 0.99), (59, 0.95), (100, 0.5), (2995, 0.999)])
def test_intervals_cover_the_true_percentile_in_simulation(n: int, share: float) -> None:
    low, high = interval_ranks(n, share)
    assert low is not None
    assert high is not None
    draws = np.sort(np.random.default_rng(5).random((2000, n)), axis=1)  # uniform: the quantile is the share itself
    covered = (draws[:, low - 1] <= share) & (share <= draws[:, high - 1])
    assert 0.935 < covered.mean() < 0.99


def test_the_smallest_sample_for_p99_has_its_maximum_as_bound() -> None:
    assert interval_ranks(298, 0.99)[1] is None
    assert interval_ranks(299, 0.99)[1] == 299


def test_large_samples_have_intervals() -> None:
    low, high = interval_ranks(10_000_000, 0.5)
    assert low is not None
    assert high is not None
    half_width = 1.96 * math.sqrt(10_000_000 * 0.25)
    assert high - low == pytest.approx(2 * half_width, rel=0.01)


def test_the_bounds_of_the_sample_are_their_own_percentiles() -> None:
    assert interval_ranks(10, 0.0) == (1, 1)
    assert interval_ranks(10, 1.0) == (10, 10)


@given(samples)
def test_a_distribution_describes_its_sample(values: list[float]) -> None:
    found = describe(np.array(values), [50.0, 99.9])
    assert (found.n, found.min, found.max) == (len(values), min(values), max(values))
    assert found.mean == pytest.approx(np.mean(values))
    assert list(found.percentiles) == ["50", "99.9"]


def test_an_empty_sample_is_null_with_its_reason_and_never_zero() -> None:
    found = describe(np.empty(0), [50.0], "no token")
    assert (found.n, found.mean, found.min, found.max, found.reason) == (0, None, None, None, "no token")
    assert (found.percentiles["50"].value, found.percentiles["50"].reason) == (None, "no token")


@given(st.lists(st.floats(0, 1e6), max_size=300), st.integers(0, 300), percents)
def test_a_failure_is_an_infinite_latency(values: list[float], failures: int, percent: float) -> None:
    found = with_failures(np.array(values), failures, [percent])[f"{percent:g}"]
    n = len(values) + failures
    if n < needed_samples(percent):
        assert found.value is None
        return
    rank = percent / 100 * (n - 1)
    ordered = [*sorted(values), *[math.inf] * failures]
    below, above = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    if math.isinf(above):
        assert found.value is None
        assert str(found.reason).startswith("infinite")
    else:
        assert found.value == pytest.approx(below + (above - below) * (rank % 1))
        assert found.high is None or math.isfinite(found.high)
