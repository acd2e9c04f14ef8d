from __future__ import annotations

import pytest

from bench.compare.difference import Estimate, difference
from bench.compare.judgement import judge
from bench.compare.quantity import read_quantity

LATENCY, RATE = read_quantity("ttft_p99"), read_quantity("output_tokens_per_s")


def judged(change: float, error: float, *, name: str = "ttft_p99", threshold: float = 0.01) -> str:
    """The conclusion on one run on each side, with this standard error of the difference."""
    found = difference([Estimate(100, error**2 / 2, 12)], [Estimate(100 * (1 + change), error**2 / 2, 12)])
    return judge(read_quantity(name), found, found.p_value, threshold)


@pytest.mark.parametrize(
    ("change", "error", "conclusion"),
    [
        (0.1, 0.01, "worse"),
        (-0.1, 0.01, "better"),
        (0.1, 0.06, "no difference shown"),
        (0.1, 0.2, "inconclusive"),
        (0.003, 0.002, "no practical difference"),
        (0.009, 0.002, "worse"),  # surely worse, and perhaps by more than matters
    ],
)
def test_a_latency(change: float, error: float, conclusion: str) -> None:
    assert judged(change, error) == conclusion


def test_a_higher_rate_is_better() -> None:
    assert judged(0.1, 0.01, name="req_s") == "better"
    assert judged(-0.1, 0.01, name="req_s") == "worse"


def test_what_matters_is_for_the_user_to_say() -> None:
    assert judged(0.03, 0.005, threshold=0.05) == "no practical difference"
    assert judged(0.003, 0.0005, threshold=0) == "worse"


def test_one_of_many_figures_must_be_clearer() -> None:
    found = difference([Estimate(100, 0.0001, 12)], [Estimate(104, 0.0001, 12)])
    assert judge(LATENCY, found, found.p_value, 0.01) == "worse"
    assert judge(LATENCY, found, 9 * found.p_value, 0.01) == "no difference shown"
    assert judge(RATE, found, found.p_value, 0.01) == "better"
