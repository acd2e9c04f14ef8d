"""Design effects of similar gaps, compared with simulations whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.arrays import Floats
from bench.figures.design_effect import design_effects
from bench.figures.request_table import RequestTable
from bench.figures.token_flow import flow
from bench.figures.window import Span
from tests.unit.bench.rows import columns, moments, ms, row

SPAN = Span(ms(0), ms(10_000_000))
STREAMS, GAPS = 40, 50


def effects(gaps: Floats, percents: list[float], tokens: int | list[int] = 1) -> dict[str, dict[float, float]]:
    """Of streams whose gaps these are (ms, a row a stream), each begun a minute after the last."""
    arrivals = 100 + np.cumsum(np.hstack([np.zeros((len(gaps), 1)), gaps]), axis=1)
    rows = [
        row(number, 60_000 * number, list(60_000 * number + moments_of), tokens=tokens)
        for number, moments_of in enumerate(arrivals)
    ]
    requests = RequestTable(columns(*rows))
    (window,) = flow(requests, moments(*rows), [SPAN])
    return design_effects(requests, moments(*rows)(), window, percents)


def test_independent_gaps_have_a_design_effect_of_one() -> None:
    gaps = np.random.default_rng(3).uniform(10, 30, (STREAMS, GAPS))
    found = effects(gaps, [50, 90])
    assert found["itl"] == found["icl"]
    assert all(1 <= effect < 2 for effect in found["itl"].values())


def test_gaps_of_streams_with_constant_speeds_count_once_per_stream() -> None:
    speeds = np.random.default_rng(3).uniform(10, 30, (STREAMS, 1))
    found = effects(np.repeat(speeds, GAPS, axis=1), [50])
    assert found["itl"][50] == pytest.approx(GAPS, rel=0.05)


def test_a_stall_shared_by_all_streams_counts_once() -> None:
    """All stall at the same moments: within each quarter of a second, all gaps are equal."""
    speeds = np.repeat(np.random.default_rng(3).uniform(200, 300, GAPS)[None, :], STREAMS, axis=0)
    arrivals = 100 + np.cumsum(np.hstack([np.zeros((STREAMS, 1)), speeds]), axis=1)
    rows = [row(number, 0, list(at)) for number, at in enumerate(arrivals)]
    requests = RequestTable(columns(*rows))
    (window,) = flow(requests, moments(*rows), [SPAN])
    found = design_effects(requests, moments(*rows)(), window, [50])
    assert STREAMS * 0.5 < found["itl"][50] < STREAMS * 2


def test_several_tokens_per_event_have_separate_design_effects() -> None:
    gaps = np.random.default_rng(3).uniform(10, 30, (STREAMS, GAPS))
    found = effects(gaps, [50, 99.9], tokens=[4] * (GAPS + 1))
    assert set(found) == {"itl", "icl"}
    assert set(found["icl"]) == set(found["itl"]) == {50}  # 2,000 gaps are too few for the other


def test_widened_intervals_cover_the_true_median_of_similar_gaps() -> None:
    """Each gap is the speed of its stream times noise; the true median of all gaps is 20 ms."""
    random = np.random.default_rng(11)
    covered, narrow = [], []
    for _ in range(60):
        speeds = 20 * np.exp(random.normal(0, 0.3, (STREAMS, 1)))
        gaps = speeds * np.exp(random.normal(0, 0.1, (STREAMS, GAPS)))
        arrivals = 100 + np.cumsum(np.hstack([np.zeros((STREAMS, 1)), gaps]), axis=1)
        rows = [row(number, 60_000 * number, list(60_000 * number + at)) for number, at in enumerate(arrivals)]
        requests = RequestTable(columns(*rows))
        (window,) = flow(requests, moments(*rows), [SPAN])
        allowed = design_effects(requests, moments(*rows)(), window, [50])["icl"]
        for held, method in ((covered, allowed), (narrow, None)):
            figure = window.icl.distribution([50], "", method).percentiles["50"]
            assert figure.low is not None
            assert figure.high is not None
            held.append(figure.low <= 20 <= figure.high)
    assert np.mean(covered) >= 0.9
    assert np.mean(narrow) < 0.6  # as if each gap told something new
