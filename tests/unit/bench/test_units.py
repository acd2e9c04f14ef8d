"""Times are read as people write them, and what is printed reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.units import format_duration, format_figure, format_rate, format_span, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15", 15.0), ("15s", 15.0), ("500ms", 0.5), ("2m", 120.0), ("1h", 3600.0), ("1.5 s", 1.5), (".25", 0.25)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1d", "1 2", "ten", "1e3", "nan", "٣"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="15, 15s, 500ms or 2m"):
        parse_duration_s(text)


@given(st.integers(1, 100_000))
def test_a_formatted_duration_reads_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration_s(format_duration(seconds)) == pytest.approx(seconds, rel=1e-4)


def test_figures_have_a_readable_precision() -> None:
    assert [format_figure(v) for v in (0.0, 0.126, 9.99, 58.44, 1234.56, 12345.6)] == [
        "0.0", "0.13", "9.99", "58.4", "1,234.6", "12,346",
    ]  # fmt: skip
    assert [format_rate(v) for v in (4.0, 58.44, 7475.2)] == ["4.00", "58.4", "7,475"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0294, "29 ms"), (0.0004, "0 ms"), (0.999, "999 ms"), (1.0, "1.0 s"), (1234.56, "1,234.6 s")],
)
def test_spans(seconds: float, text: str) -> None:
    assert format_span(seconds) == text
