from __future__ import annotations

import math
import statistics

import pytest

from mock_server.engine.sim.cost_model import CostModel, StepCosts
from mock_server.engine.sim.profiles import PROFILES, find_profile
from mock_server.engine.sim.scheduler import StepPlan
from mock_server.engine.sim.sequence import Sequence

PLAN = StepPlan(decodes=[None] * 3, prefills=[], num_prefill_tokens=10, num_kv_tokens=1000)  # type: ignore[list-item]


def test_a_step_costs_the_sum_of_its_parts() -> None:
    model = CostModel(StepCosts(base_s=1.0, prefill_token_s=0.1, decode_seq_s=0.01, kv_token_s=0.001))
    assert model.step_s(PLAN) == pytest.approx(1.0 + 1.0 + 0.03 + 1.0)
    assert model.step_s(StepPlan([], [], 0, 0)) == 1.0


def test_noise_is_seeded_and_its_median_is_the_cost() -> None:
    costs = StepCosts(base_s=2.0, step_sigma=0.3, frontend_s=4.0, frontend_sigma=0.5)
    one, same, other = CostModel(costs, 1), CostModel(costs, 1), CostModel(costs, 2)
    drawn = [one.step_s(PLAN) for _ in range(2001)]
    assert drawn == [same.step_s(PLAN) for _ in range(2001)]
    assert drawn != [other.step_s(PLAN) for _ in range(2001)]
    assert statistics.median(drawn) == pytest.approx(2.0, rel=0.05)
    assert statistics.stdev(map(math.log, drawn)) == pytest.approx(0.3, rel=0.1)
    assert statistics.median(one.frontend_s() for _ in range(2001)) == pytest.approx(4.0, rel=0.05)


def test_no_cost_takes_no_time() -> None:
    model = CostModel(StepCosts(step_sigma=0.5, frontend_sigma=0.5))
    assert model.step_s(PLAN) == 0
    assert model.frontend_s() == 0


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_invalid_costs_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="base_s must be"):
        StepCosts(base_s=value)


def test_profiles_go_by_their_names() -> None:
    assert set(PROFILES) >= {"demo", "instant"}
    assert find_profile("demo").name == "demo"
    assert find_profile("instant").costs == StepCosts()
    with pytest.raises(ValueError, match=r"'demos'.*demo, instant.*Did you mean demo\?"):
        find_profile("demos")


def test_the_demo_profile_decodes_64_streams_in_about_8_ms() -> None:
    model = CostModel(PROFILES["demo"].costs)
    plan = StepPlan([Sequence.__new__(Sequence)] * 64, [], 0, 64 * 96)
    assert statistics.median(model.step_s(plan) for _ in range(501)) == pytest.approx(7.7e-3, abs=0.3e-3)
