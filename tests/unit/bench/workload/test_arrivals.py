"""Arrival processes: their distribution, their seed, what is kept of them, and the plan that adds up their gaps."""

from __future__ import annotations

import math
from itertools import islice, pairwise, repeat
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.plan import Limits, OpenLoop
from bench.workload.arrivals import (
    PROCESSES,
    Arrivals,
    Constant,
    Gamma,
    Poisson,
    ProcessName,
    arrivals_by_burstiness,
    make_arrivals,
)

S = 1_000_000_000
EACH = [Poisson(50), Constant(50), Gamma(50, 0.25)]


@pytest.mark.parametrize("process", [Poisson(50), Gamma(50, 0.25), Gamma(50, 0.5), Gamma(50, 3), Gamma(50, 40)])
def test_gaps_have_the_distribution_that_they_are_held_to(process: Arrivals) -> None:
    n = 20_000
    gaps = np.sort(list(islice(process.gaps_s(seed=7), n)))
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.05)
    assert process.gap_cdf is not None
    shares = np.array([process.gap_cdf(gap) for gap in gaps])
    assert np.abs(shares - (np.arange(n) + 0.5) / n).max() < 1.95 / n**0.5


def test_the_distribution_of_poisson_arrivals_is_exponential() -> None:
    for gap in (0.001, 0.01, 0.1, 1.0):
        assert Poisson(20).gap_cdf(gap) == pytest.approx(1 - math.exp(-20 * gap), rel=1e-12)


def test_a_gamma_of_two_has_its_closed_form() -> None:
    for gap in (0.001, 0.05, 0.1, 0.3):
        x = gap * 10 * 2
        assert Gamma(10, 2).gap_cdf(gap) == pytest.approx(1 - math.exp(-x) * (1 + x), rel=1e-9)


@given(st.floats(0.01, 1000), st.floats(0.05, 50), st.lists(st.floats(0, 20), min_size=2))
def test_a_distribution_grows_from_zero_to_one(rate: float, burstiness: float, gaps: list[float]) -> None:
    for cdf in (Poisson(rate).gap_cdf, Gamma(rate, burstiness).gap_cdf):
        shares = [cdf(gap) for gap in sorted(gaps)]
        assert all(0 <= share <= 1 for share in shares)
        assert all(later >= earlier - 1e-12 for earlier, later in pairwise(shares))
        assert cdf(0) == 0


def test_the_same_seed_draws_the_same_gaps() -> None:
    first, again, other = (list(islice(Poisson(5).gaps_s(seed), 50)) for seed in (1, 1, 2))
    assert first == again != other


def test_constant_arrivals_have_one_gap_and_no_distribution() -> None:
    assert list(islice(Constant(4).gaps_s(seed=1), 3)) == [0.25] * 3
    assert (Constant(4).even_gap_s, Constant(4).gap_cdf) == (0.25, None)
    assert Poisson(4).even_gap_s is None


def test_every_process_can_be_named_and_read_back_from_the_records() -> None:
    assert tuple(PROCESSES) == get_args(ProcessName) == tuple(process.name for process in EACH)
    for process in EACH:
        facts = process.facts()
        assert make_arrivals(facts["arrivals"], facts["rate"], facts.get("burstiness")) == process
        assert process.steady_ns(3, 9) == (3, 9)  # one rate throughout


def test_a_burstiness_names_a_process() -> None:
    assert arrivals_by_burstiness(2, math.inf) == Constant(2)
    assert arrivals_by_burstiness(2, 1) == Poisson(2)
    assert arrivals_by_burstiness(2, 0.5) == Gamma(2, 0.5)
    assert [process.describe() for process in EACH] == ["poisson", "constant", "gamma 0.25"]


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


def test_a_stopped_open_loop_has_no_more_due_requests() -> None:
    plan = begun(0.5, duration_s=9)
    plan.stop(10 * S + 5)
    assert (plan.due_ns, plan.take(99 * S), plan.stopped_ns) == (None, None, 10 * S + 5)
