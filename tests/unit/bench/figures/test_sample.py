"""Samples that are kept whole, and samples that are counted, compared with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures.histogram import Histogram
from bench.figures.sample import Sample

PERCENTS = (50.0, 90.0, 99.0, 99.9)
durations_ms = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(durations_ms, min_size=1, max_size=200))
def test_a_bucket_is_never_wider_than_a_thousandth_of_its_value(values: list[float]) -> None:
    histogram = Histogram()
    histogram.add(np.array(values))
    for rank, value in enumerate(sorted(values)):
        assert histogram.at_rank(rank) == pytest.approx(value, rel=0.001, abs=1e-6)


@given(st.lists(st.lists(durations_ms, max_size=50), min_size=1, max_size=8))
def test_small_samples_are_exact_in_any_pieces(parts: list[list[float]]) -> None:
    sample = Sample()
    for part in parts:
        sample.add(np.array(part))
    values = np.array([value for part in parts for value in part])
    found = sample.distribution(PERCENTS, "none")
    assert found.n == len(values)
    if len(values) == 0:
        assert (found.mean, found.reason) == (None, "none")
        return
    assert found.mean == pytest.approx(values.mean())
    assert (found.min, found.max) == (values.min(), values.max())
    for percent in PERCENTS:
        value = found.percentiles[f"{percent:g}"].value
        if value is not None:
            assert value == pytest.approx(np.percentile(values, percent))


def test_large_samples_are_counted_and_marked_with_three_significant_digits() -> None:
    values = np.random.default_rng(3).lognormal(2, 1, 5000)
    sample = Sample(exact_limit=1000)
    for part in np.split(values, 10):
        sample.add(part)
    found = sample.distribution(PERCENTS, "none")
    assert not found.exact
    assert not sample.is_exact
    assert found.mean == pytest.approx(values.mean())
    for percent in PERCENTS:
        value = found.percentiles[f"{percent:g}"].value
        assert value == pytest.approx(np.percentile(values, percent), rel=0.002)


def test_an_error_that_all_values_share_is_the_error_of_each_percentile() -> None:
    values = np.linspace(1, 100, 1000)
    sample = Sample()
    sample.add(values, np.full(1000, 0.5), np.full(1000, 0.25))
    found = sample.distribution((50.0,), "none", client_error=0.125)
    assert found.percentiles["50"].client_error == pytest.approx(0.625)


def test_the_errors_of_very_many_values_bound_the_percentiles_as_all_of_them_would() -> None:
    """More are added than are kept, and the late ones are larger."""
    sample = Sample()
    values = np.linspace(1, 100, 900_000)
    for part in np.split(values, 90):
        sample.add(part, part / 10, part / 20)
    found = sample.distribution((50.0, 90.0), "none", client_error=0.0)
    for percent in (50.0, 90.0):
        error = found.percentiles[f"{percent:g}"].client_error
        assert error == pytest.approx(np.percentile(values, percent) / 10, rel=0.001)


def test_without_a_known_clock_error_there_is_no_bound() -> None:
    sample = Sample()
    sample.add(np.linspace(1, 100, 1000), np.zeros(1000), np.zeros(1000))
    assert sample.distribution((50.0,), "none").percentiles["50"].client_error is None
