"""How much less alike gaps tell: against simulation, where the answer is known."""

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


def test_gaps_that_have_nothing_to_do_with_each_other_count_one_each() -> None:
    gaps = np.random.default_rng(3).uniform(10, 30, (STREAMS, GAPS))
    found = effects(gaps, [50, 90])
    assert found["itl"] == found["icl"]
    assert all(1 <= effect < 2 for effect in found["itl"].values())


def test_streams_of_one_speed_each_tell_as_much_as_one_gap_of_each() -> None:
    speeds = np.random.default_rng(3).uniform(10, 30, (STREAMS, 1))
    found = effects(np.repeat(speeds, GAPS, axis=1), [50])
    assert found["itl"][50] == pytest.approx(GAPS, rel=0.05)


def test_a_stall_that_all_streams_share_counts_once() -> None:
    """All at the same moments: of each quarter of a second, all gaps are alike."""
    speeds = np.repeat(np.random.default_rng(3).uniform(200, 300, GAPS)[None, :], STREAMS, axis=0)
    arrivals = 100 + np.cumsum(np.hstack([np.zeros((STREAMS, 1)), speeds]), axis=1)
    rows = [row(number, 0, list(at)) for number, at in enumerate(arrivals)]
    requests = RequestTable(columns(*rows))
    (window,) = flow(requests, moments(*rows), [SPAN])
    found = design_effects(requests, moments(*rows)(), window, [50])
    assert STREAMS * 0.5 < found["itl"][50] < STREAMS * 2


def test_several_tokens_an_event_have_gaps_a_token_and_gaps_an_event() -> None:
    gaps = np.random.default_rng(3).uniform(10, 30, (STREAMS, GAPS))
    found = effects(gaps, [50, 99.9], tokens=[4] * (GAPS + 1))
    assert set(found) == {"itl", "icl"}
    assert set(found["icl"]) == set(found["itl"]) == {50}  # 2,000 gaps are too few for the other


def test_intervals_that_allow_for_it_cover_the_true_median_of_alike_gaps() -> None:
    """Gaps are a stream's own speed times noise; the true median of all of them is 20 ms."""
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
