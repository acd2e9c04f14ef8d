from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compare.student import probability, quantile

freedoms = st.floats(1, 1e5)


@pytest.mark.parametrize(
    ("share", "freedom", "value"),
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.3027),
        (0.95, 4, 2.1318),
        (0.975, 10, 2.2281),
        (0.995, 30, 2.7500),
        (0.8, 8, 0.8889),
        (0.975, 1e6, 1.9600),
    ],
)
def test_quantiles_are_those_of_printed_tables(share: float, freedom: float, value: float) -> None:
    assert quantile(share, freedom) == pytest.approx(value, abs=1e-4)
    assert quantile(1 - share, freedom) == pytest.approx(-value, abs=1e-4)


@given(st.floats(-1e4, 1e4))
def test_with_one_degree_of_freedom_it_is_cauchys_distribution(t: float) -> None:
    assert probability(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-12)


@given(st.floats(-50, 50))
def test_with_two_degrees_of_freedom_it_has_a_closed_form(t: float) -> None:
    assert probability(t, 2) == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t * t)), abs=1e-12)


@given(st.floats(0.0001, 0.9999), freedoms)
def test_a_quantile_is_where_the_distribution_has_that_share(share: float, freedom: float) -> None:
    assert probability(quantile(share, freedom), freedom) == pytest.approx(share, abs=1e-8)


@pytest.mark.parametrize("share", [0, 1, -0.1, math.nan])
def test_there_is_no_quantile_outside_of_the_shares(share: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        quantile(share, 5)
