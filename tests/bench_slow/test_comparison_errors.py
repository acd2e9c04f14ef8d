"""How often a comparison is wrong, by simulation: it must be as rare as the report says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.compare.difference import Difference
from tests.support.simulated_runs import ImaginaryServer, compared

pytestmark = pytest.mark.slow

COMPARISONS = 100
LEVEL = 0.05
AT_MOST = LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / COMPARISONS)
"""A true rate of 5 % exceeds this once in a thousand times."""


def many(server: ImaginaryServer, runs: int, percent: float, slower: float = 1.0) -> list[Difference]:
    rng = np.random.default_rng(20)
    return [compared(server, rng, runs=runs, percent=percent, slower=slower) for _ in range(COMPARISONS)]


def wrong(found: list[Difference]) -> float:
    return float(np.mean([each.p_value < LEVEL for each in found]))


@pytest.mark.parametrize("percent", [50, 99])
@pytest.mark.parametrize(
    "server",
    [ImaginaryServer(drift=0), ImaginaryServer(memory_ms=5_000), ImaginaryServer(between=0.1)],
    ids=["steady", "drifting", "runs differ"],
)
def test_a_server_seldom_differs_from_itself(server: ImaginaryServer, percent: float) -> None:
    assert wrong(many(server, 3, percent)) <= AT_MOST


def test_single_runs_seldom_differ_if_the_server_is_steady() -> None:
    assert wrong(many(ImaginaryServer(drift=0), 1, 99)) <= AT_MOST


def test_the_interval_contains_the_true_change() -> None:
    found = many(ImaginaryServer(between=0.03), 3, 50, slower=1.1)
    assert np.mean([not each.low <= 0.1 <= each.high for each in found]) <= AT_MOST


def test_the_stated_smallest_difference_is_shown_as_often_as_stated() -> None:
    server = ImaginaryServer(between=0.05)
    smallest = float(np.median([each.smallest for each in many(server, 5, 50)]))
    shown = np.mean([each.low > 0 for each in many(server, 5, 50, slower=1 + smallest)])
    assert shown >= 0.7
