"""Concurrency over time, compared with a count at every moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arrays import Ints
from bench.figures.window import Span, mean_concurrency, overlap_ns, steady_span

intervals = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=30)


def arrays(pairs: list[tuple[int, int]]) -> tuple[Ints, Ints]:
    begin = np.array([start for start, _ in pairs], dtype=np.int64)
    return begin, begin + np.array([length for _, length in pairs], dtype=np.int64)


def open_at(pairs: list[tuple[int, int]], moment: float) -> int:
    return sum(start <= moment < start + length for start, length in pairs)


@given(intervals, st.integers(0, 40), st.integers(1, 40))
def test_mean_concurrency_is_the_average_over_all_moments(
    pairs: list[tuple[int, int]], start: int, length: int
) -> None:
    span = Span(start, start + length)
    by_hand = sum(open_at(pairs, moment + 0.5) for moment in range(span.begin_ns, span.end_ns)) / length
    assert mean_concurrency(*arrays(pairs), span) == pytest.approx(by_hand)


@given(intervals, st.integers(1, 8))
def test_the_steady_span_reaches_from_the_first_to_the_last_moment_with_enough_open(
    pairs: list[tuple[int, int]], streams: int
) -> None:
    begin, end = arrays(pairs)
    found = steady_span(begin, end, streams, Span(0, 1000))
    enough = [moment for moment in range(100) if open_at(pairs, moment + 0.5) >= 0.95 * streams]
    if not enough:
        assert found is None
    else:
        assert found == Span(enough[0], enough[-1] + 1)


def test_dips_inside_are_part_of_it_and_it_ends_with_the_sending() -> None:
    pairs = [(0, 10), (12, 10), (25, 50)]
    assert steady_span(*arrays(pairs), 1, Span(0, 60)) == Span(0, 60)
    assert steady_span(*arrays(pairs), 1, Span(5, 60)) == Span(5, 60)
    assert steady_span(*arrays(pairs), 2, Span(0, 60)) is None


def test_95_percent_of_64_streams_are_61() -> None:
    pairs = [(n, 100) for n in range(64)]
    found = steady_span(*arrays(pairs), 64, Span(0, 1000))
    assert found is not None
    assert found.begin_ns == 60  # the 61st began
    assert found.end_ns == 103  # the fourth ended


def test_overlaps_are_clipped_to_the_span() -> None:
    begin, end = arrays([(0, 5), (3, 10), (20, 5)])
    assert overlap_ns(begin, end, Span(4, 12)).tolist() == [1, 8, 0]
