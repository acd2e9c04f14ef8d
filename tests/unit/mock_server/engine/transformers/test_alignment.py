from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.transformers.alignment import Room, extent_for

ROWS = st.integers(1, 100)
LENGTHS = st.integers(1, 100_000)


@given(ROWS, LENGTHS)
def test_new_tensors_take_what_they_were_made_for_and_one_more_column(rows: int, longest: int) -> None:
    extent = extent_for(rows, longest)
    assert extent.takes(rows, longest)
    assert not extent.takes(extent.rows + 1, longest)
    assert not extent.takes(rows, longest + 1)  # it would begin before the first column
    assert not extent.is_wasteful(rows, longest)


@given(ROWS, LENGTHS)
def test_room_to_grow_is_at_most_a_quarter_of_long_rows(rows: int, longest: int) -> None:
    assert extent_for(rows, longest).columns <= max(longest + 128, longest * 1.25)


def test_tensors_are_wasteful_when_most_of_them_is_unused() -> None:
    extent = extent_for(8, 1_000)
    assert not extent.is_wasteful(4, 1_000)
    assert extent.is_wasteful(1, 1_000)
    assert extent.is_wasteful(8, 100)


def test_room_is_limited_in_rows_and_in_cells() -> None:
    room = Room(rows=2, cells=1_000)
    assert room.takes(2, 300)
    assert not room.takes(3, 300)
    assert not room.takes(2, 600)
    assert room.takes(1, 100_000)  # a row alone has been given its room at the start


@given(st.integers(128, 10_000_000))
def test_the_longest_row_that_fits_alone(cells: int) -> None:
    longest = Room(1, cells).longest_alone()
    assert extent_for(1, longest).cells <= cells < extent_for(1, longest + 1).cells
