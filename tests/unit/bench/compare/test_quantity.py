from __future__ import annotations

import pytest

from bench.compare.quantity import DEFAULT_QUANTITIES, read_quantity


@pytest.mark.parametrize(
    ("given", "name", "label", "unit"),
    [
        ("ttft_p99", "ttft_p99", "TTFT p99", "ms"),
        ("ITL-p99.90", "itl_p99.9", "ITL p99.9", "ms"),
        ("e2el_mean", "e2e_mean", "E2E mean", "ms"),
        ("max-gap_p50", "max_gap_p50", "max gap p50", "ms"),
        ("out_tok_s", "output_tokens_per_s", "output tokens", "tok/s"),
        ("requests_per_s", "requests_per_s", "requests", "req/s"),
    ],
)
def test_names_are_read_in_every_spelling(given: str, name: str, label: str, unit: str) -> None:
    found = read_quantity(given)
    assert (found.name, found.label, found.unit) == (name, label, unit)
    assert read_quantity(found.name) == found


@pytest.mark.parametrize("given", ["ttft", "p99", "latency_p99", "ttft_p", "ttft_p-1", "ttft_p99_p99", ""])
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(given: str) -> None:
    with pytest.raises(ValueError, match=r"must be a figure: ttft, .*_p50, _p99 or _mean, output_tokens_per_s or"):
        read_quantity(given)


@pytest.mark.parametrize("given", ["ttft_p0", "ttft_p100", "ttft_p250"])
def test_a_percentile_lies_between_0_and_100(given: str) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        read_quantity(given)


def test_each_default_quantity_has_a_name_of_its_own() -> None:
    assert len({quantity.name for quantity in DEFAULT_QUANTITIES}) == len(DEFAULT_QUANTITIES)
    assert [q.name for q in DEFAULT_QUANTITIES if q.higher_is_better] == ["output_tokens_per_s", "requests_per_s"]
