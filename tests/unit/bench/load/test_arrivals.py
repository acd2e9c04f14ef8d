"""Gaps between arrivals: their distribution, their seed, and the plan that adds them up."""

from __future__ import annotations

import math
from itertools import islice, pairwise, repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.arrivals import Process, gap_cdf, gaps_s
from bench.load.plan import Limits, OpenLoop

S = 1_000_000_000


@pytest.mark.parametrize(
    ("process", "burstiness"), [("poisson", 1.0), ("gamma", 0.25), ("gamma", 0.5), ("gamma", 3.0), ("gamma", 40.0)]
)
def test_gaps_are_of_the_distribution_that_they_are_held_to(process: Process, burstiness: float) -> None:
    n = 20_000
    gaps = np.sort(list(islice(gaps_s(process, 50, burstiness, seed=7), n)))
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.05)
    shares = np.array([gap_cdf(process, 50, burstiness, gap) for gap in gaps])
    assert np.abs(shares - (np.arange(n) + 0.5) / n).max() < 1.95 / n**0.5


def test_the_distribution_of_poisson_arrivals_is_exponential() -> None:
    for gap in (0.001, 0.01, 0.1, 1.0):
        assert gap_cdf("poisson", 20, 1, gap) == pytest.approx(1 - math.exp(-20 * gap), rel=1e-12)


def test_a_gamma_of_two_by_its_closed_form() -> None:
    for gap in (0.001, 0.05, 0.1, 0.3):
        x = gap * 10 * 2
        assert gap_cdf("gamma", 10, 2, gap) == pytest.approx(1 - math.exp(-x) * (1 + x), rel=1e-9)


@given(
    st.sampled_from(["poisson", "constant", "gamma"]),
    st.floats(0.01, 1000),
    st.floats(0.05, 50),
    st.lists(st.floats(0, 20), min_size=2),
)
def test_a_distribution_grows_from_nothing_to_one(
    process: Process, rate: float, burstiness: float, gaps: list[float]
) -> None:
    shares = [gap_cdf(process, rate, burstiness, gap) for gap in sorted(gaps)]
    assert all(0 <= share <= 1 for share in shares)
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(shares))
    assert gap_cdf(process, rate, burstiness, 0) == 0


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (list(islice(gaps_s("poisson", 5, 1, seed), 50)) for seed in (1, 1, 2))
    assert first == again != other
    assert list(islice(gaps_s("constant", 4, 1, seed=1), 3)) == [0.25] * 3


def begun(gap_s: float, **limits: float | int) -> OpenLoop:
    plan = OpenLoop(repeat(gap_s), Limits(**limits))  # type: ignore[arg-type]
    plan.begin(10 * S)
    return plan


def test_moments_add_up_from_the_beginning_however_late_one_asks() -> None:
    plan = begun(0.1, duration_s=1)
    assert plan.take(10 * S - 1) is None
    taken = []
    for now_ns in (10 * S, 10 * S + 350_000_000, 99 * S):
        while (start := plan.take(now_ns)) is not None:
            taken.append(start.sched_ns)
    assert taken == [10 * S + n * 100_000_000 for n in range(10)]
    assert plan.due_ns is None
    assert plan.stopped_ns == 11 * S


def test_a_count_stands_for_as_long_as_its_requests_do() -> None:
    plan = begun(0.5, requests=2)
    assert [plan.take(99 * S), plan.take(99 * S)] != [None, None]
    assert plan.take(99 * S) is None
    assert plan.stopped_ns == 11 * S


def test_an_open_loop_that_was_stopped_is_due_no_more() -> None:
    plan = begun(0.5, duration_s=9)
    plan.stop(10 * S + 5)
    assert (plan.due_ns, plan.take(99 * S), plan.stopped_ns) == (None, None, 10 * S + 5)
