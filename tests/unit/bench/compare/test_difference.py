from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compare.difference import Estimate, difference

runs = st.lists(
    st.builds(Estimate, st.floats(0.1, 1e5), st.floats(1e-8, 0.1), st.integers(2, 12)), min_size=1, max_size=6
)


def side(*values: float, variance: float = 0.0) -> list[Estimate]:
    return [Estimate(value, variance, 12) for value in values]


def test_the_interval_of_several_runs_is_that_of_welch() -> None:
    # t = 3.5 on 3.92 degrees of freedom, computed by hand from the logarithms 0, 1, 2 and 3.5, 4, 4.5
    found = difference(side(1, math.e, math.e**2), side(math.exp(3.5), math.exp(4), math.exp(4.5)))
    error = math.sqrt(1 / 3 + 0.25 / 3)
    freedom = (1 / 3 + 0.25 / 3) ** 2 / ((1 / 3) ** 2 / 2 + (0.25 / 3) ** 2 / 2)
    assert found.log_ratio == pytest.approx(3)
    assert found.error == pytest.approx(error)
    assert found.freedom == pytest.approx(freedom)
    assert found.low < found.change < found.high


def test_runs_that_agree_by_chance_vary_at_least_as_much_as_their_requests() -> None:
    found = difference(side(100, 100, 100, variance=0.03), side(100, 100, 100, variance=0.03))
    assert found.error == pytest.approx(math.sqrt(0.02))


def test_one_run_on_each_side_varies_as_its_blocks_do() -> None:
    found = difference(side(100, variance=0.0001), side(110, variance=0.0001))
    assert found.change == pytest.approx(0.1)
    assert found.freedom == pytest.approx(22)
    assert found.low > 0
    assert found.p_value < 0.001


def test_the_smallest_difference_is_beyond_what_the_interval_reaches() -> None:
    found = difference(side(100, variance=0.0001), side(100, variance=0.0001))
    assert found.smallest > found.high > 0


@given(runs, runs)
def test_the_p_value_is_below_five_percent_exactly_if_the_interval_excludes_no_change(
    before: list[Estimate], after: list[Estimate]
) -> None:
    found = difference(before, after)
    if abs(found.p_value - 0.05) > 1e-6:
        assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


@given(runs, runs, st.floats(-0.5, 2))
def test_a_limit_is_passed_with_certainty_exactly_if_the_interval_lies_beyond_it(
    before: list[Estimate], after: list[Estimate], limit: float
) -> None:
    found = difference(before, after)
    low, high = found.interval(0.9)
    if abs(found.p_above(limit) - 0.05) > 1e-6:
        assert (found.p_above(limit) < 0.05) == (low > limit)
    if abs(found.p_below(limit) - 0.05) > 1e-6:
        assert (found.p_below(limit) < 0.05) == (high < limit)


@given(runs, runs)
def test_exchanging_the_sides_inverts_the_ratio(before: list[Estimate], after: list[Estimate]) -> None:
    there, back = difference(before, after), difference(after, before)
    assert there.log_ratio == pytest.approx(-back.log_ratio)
    assert there.p_value == pytest.approx(back.p_value)


def test_figures_that_never_vary_differ_or_do_not() -> None:
    assert difference(side(5), side(5)).p_value == 1
    assert difference(side(5), side(6)).p_value == 0
