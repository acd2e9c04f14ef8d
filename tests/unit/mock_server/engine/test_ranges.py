from __future__ import annotations

import pytest

from mock_server.engine.ranges import Number, Range, Whole


@pytest.mark.parametrize(
    ("within", "held", "not_held", "text"),
    [
        (Whole(1), [1, 2.0, 10**30], [0, 1.5], "a whole number, at least 1"),
        (Whole(-1, 3), [-1, 0, 3], [-2, 4, 2.5], "a whole number, from -1 to 3"),
        (Number(0), [0, 0.1, 1e300], [-1e-300], "a number, at least 0"),
        (Number(0, 2), [0, 2], [-0.1, 2.1], "a number, from 0 to 2"),
        (Number(0, low_open=True), [1e-300, 9], [0, -1], "a number above 0"),
        (Number(0, 1, low_open=True), [1e-300, 1], [0, 1.1], "a number above 0 and at most 1"),
    ],
)
def test_a_range_holds_its_numbers_and_describes_itself(
    within: Range, held: list[float], not_held: list[float], text: str
) -> None:
    assert [number for number in held if not within.holds(number)] == []
    assert [number for number in not_held if within.holds(number)] == []
    assert str(within) == text
