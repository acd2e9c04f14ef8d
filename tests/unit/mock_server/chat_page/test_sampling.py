from __future__ import annotations

import pytest

from mock_server.chat_page.sampling import FIELDS, SamplingError, request_fields
from mock_server.chat_page.texts import CHINESE, ENGLISH


def test_what_is_left_empty_is_not_sent() -> None:
    assert request_fields([None, "", None, 8, 0], ENGLISH) == {"max_tokens": 8, "seed": 0}
    assert request_fields([0.5, 1, -1, 1, 7], ENGLISH) == {
        "temperature": 0.5, "top_p": 1, "top_k": -1, "max_tokens": 1, "seed": 7,
    }  # fmt: skip


def test_a_whole_number_of_the_browser_is_one() -> None:
    (found,) = request_fields([None, None, 40.0, None, None], ENGLISH).values()
    assert isinstance(found, int)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("temperature", 2.5, "Temperature must be in the range [0, 2] (got 2.5)."),
        ("top_p", 0, "Top p must be in the range (0, 1] (got 0)."),
        ("top_k", 1.5, "Top k must be in the range ≥ -1 (got 1.5)."),
        ("max_tokens", 0, "Max tokens must be in the range ≥ 1 (got 0)."),
        ("seed", "x", "Seed must be in the range ≥ 0 (got x)."),
        ("seed", True, "Seed must be in the range ≥ 0 (got True)."),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: object, told: str) -> None:
    values = [value if field == name else None for field in FIELDS]
    with pytest.raises(SamplingError) as caught:
        request_fields(values, ENGLISH)
    assert str(caught.value) == told


def test_it_is_named_in_the_pages_language() -> None:
    with pytest.raises(SamplingError, match="温度必须在"):
        request_fields([3, None, None, None, None], CHINESE)
