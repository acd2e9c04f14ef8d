from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compare.holm import holm


def test_the_smallest_is_multiplied_by_their_number_and_so_on() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusting_never_lowers_a_value_and_keeps_their_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    by_size = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[i] for i in by_size] == sorted(adjusted)
    assert min(adjusted) == pytest.approx(min(1, len(p_values) * min(p_values)))
