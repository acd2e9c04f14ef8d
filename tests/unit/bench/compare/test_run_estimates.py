"""Quantities of runs made by hand: their values are those of the report, and they vary as their requests do."""

from __future__ import annotations

import numpy as np
import pytest

from bench.compare.difference import Estimate
from bench.compare.quantity import DEFAULT_QUANTITIES, Quantity, read_quantity
from bench.compare.run_estimates import Estimates, run_estimates
from bench.records.result import percent_key
from bench.summary import summarize
from tests.unit.bench.rows import Row, columns, moments, row
from tests.unit.bench.runs import run

LENGTH_MS = 100.0


def back_to_back(requests: int, *, streamed: bool = True) -> list[Row]:
    """One stream of requests with four tokens each, the first of them after 20 to 60 ms."""
    first = np.random.default_rng(1).uniform(0.2, 0.6, requests) * LENGTH_MS
    rows = []
    for n in range(requests):
        begun = n * LENGTH_MS
        arrivals = [begun + first[n] + share * (LENGTH_MS - first[n]) for share in (0, 0.3, 0.6, 1)]
        rows.append(
            row(n, begun, arrivals)
            if streamed
            else row(n, begun, [], end=begun + LENGTH_MS, streamed=False, completion_tokens=4)
        )
    return rows


def estimates_of(rows: list[Row], *quantities: Quantity) -> Estimates:
    facts = run(stopped=len(rows) * LENGTH_MS)
    return run_estimates(
        facts, columns(*rows), moments(*rows), quantities or DEFAULT_QUANTITIES, np.random.default_rng(7)
    )


def known(found: Estimates, name: str) -> Estimate:
    estimate = found[name]
    assert isinstance(estimate, Estimate)
    return estimate


def test_the_values_are_those_of_the_report() -> None:
    rows = back_to_back(400)
    figures = summarize(run(stopped=40_000), columns(*rows), moments(*rows)).headline
    found = estimates_of(rows)
    for quantity in DEFAULT_QUANTITIES:
        value = known(found, quantity.name).value
        if quantity.figure is None or quantity.percent is None:
            assert value == getattr(figures, quantity.name)
        else:
            assert value == figures.latency[quantity.figure].percentiles[percent_key(quantity.percent)].value


def test_means_are_those_of_the_report_too() -> None:
    rows = back_to_back(50)
    figures = summarize(run(stopped=5_000), columns(*rows), moments(*rows)).headline
    found = estimates_of(rows, read_quantity("ttft_mean"), read_quantity("icl_mean"))
    assert known(found, "ttft_mean").value == figures.latency["ttft"].mean
    assert known(found, "icl_mean").value == figures.latency["icl"].mean


def test_a_mean_varies_as_independent_requests_do() -> None:
    rows = back_to_back(4_000)
    found = known(estimates_of(rows, read_quantity("ttft_mean")), "ttft_mean")
    spread = (0.4**2 / 12) / 0.4**2 / 4_000  # the variance of a uniform distribution, relative to its mean of 0.4
    assert spread / 3 < found.variance < spread * 3
    assert found.blocks == 12


def test_requests_that_never_vary_have_a_rate_that_does_not() -> None:
    rows = back_to_back(400)
    assert known(estimates_of(rows), "requests_per_s").variance == pytest.approx(0, abs=1e-5)


def test_what_a_run_cannot_tell_has_the_reason_of_the_report() -> None:
    found = estimates_of(back_to_back(100))
    assert found["ttft_p99"] == "p99 needs 299 samples, there are 100"
    assert isinstance(found["ttft_p50"], Estimate)


def test_answers_in_one_piece_have_tokens_but_no_ttft() -> None:
    found = estimates_of(back_to_back(400, streamed=False))
    assert known(found, "output_tokens_per_s").value == pytest.approx(40, rel=0.02)
    assert found["ttft_p50"] == "answers arrived in one piece"


def test_a_run_without_requests_has_nothing() -> None:
    assert set(estimates_of([]).values()) == {"nothing was sent"}
