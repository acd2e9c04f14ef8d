"""Sides made by hand: what is compared, what is said of it, and the notes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bench.compare.comparison import Change, Comparison, RecordedRun, compare
from bench.compare.gate import read_gate
from bench.compare.quantity import DEFAULT_QUANTITIES
from tests.unit.bench.rows import columns, moments, row
from tests.unit.bench.runs import run


@cache
def recorded(seed: int, slower: float = 1.0, requests: int = 400) -> RecordedRun:
    """One stream of requests, whose first token takes 20 to 60 ms times `slower`."""
    length = 100 * slower
    first = np.random.default_rng(seed).uniform(0.2, 0.6, requests) * length
    rows = [
        row(n, n * length, [n * length + first[n] + share * (length - first[n]) for share in (0, 0.3, 0.6, 1)])
        for n in range(requests)
    ]
    return RecordedRun(f"runs/{seed}", run(stopped=requests * length), columns(*rows), moments(*rows))


def compared(before: list[RecordedRun], after: list[RecordedRun], *gates: str) -> Comparison:
    return compare(before, after, DEFAULT_QUANTITIES, [read_gate(gate) for gate in gates])


def change(found: Comparison, name: str) -> Change:
    return next(change for change in found.changes if change.quantity == name)


def test_a_slower_side_is_worse_in_every_figure() -> None:
    found = compared([recorded(n) for n in (1, 2, 3)], [recorded(n, 1.2) for n in (4, 5, 6)], "ttft_p99>+5%")
    assert {change.conclusion for change in found.changes} == {"worse"}
    ttft, rate = change(found, "ttft_p50"), change(found, "output_tokens_per_s")
    assert ttft.change == pytest.approx(0.2, abs=0.05)
    assert rate.change == pytest.approx(-1 / 6, abs=0.01)
    assert ttft.low is not None
    assert ttft.low < 0.2 < (ttft.high or 0)
    assert found.has_failed
    assert found.before.runs == ["runs/1", "runs/2", "runs/3"]


def test_the_same_server_shows_no_difference() -> None:
    found = compared([recorded(n) for n in (1, 2, 3)], [recorded(n) for n in (4, 5, 6)], "ttft_p50>+5%", "req_s<-5%")
    assert {change.conclusion for change in found.changes} <= {"no difference shown", "no practical difference"}
    assert not found.has_failed
    assert found.notes == []


def test_single_runs_are_compared_with_a_warning() -> None:
    found = compared([recorded(1)], [recorded(2, 1.5)])
    assert change(found, "ttft_p50").conclusion == "worse"
    assert found.notes[0].startswith("one run on a side: how much runs differ by themselves is not known")


def test_a_run_on_both_sides_is_noticed() -> None:
    same, other = recorded(1), recorded(2)
    assert compared([same, other], [same, other]).notes == ["a run is on both sides"]


def test_a_figure_that_one_run_lacks_is_not_compared_and_says_why() -> None:
    found = compared([recorded(1), recorded(2, requests=100)], [recorded(3), recorded(4)], "ttft_p99>+5%")
    lacking = change(found, "ttft_p99")
    assert (lacking.conclusion, lacking.change) == ("not compared", None)
    assert lacking.reason == "before: p99 needs 299 samples, there are 100"
    assert [(gate.failed, gate.reason) for gate in found.gates] == [(True, lacking.reason)]
    assert change(found, "ttft_p50").change is not None


def test_a_gate_may_be_on_a_figure_that_is_not_shown() -> None:
    found = compared([recorded(1), recorded(2)], [recorded(3), recorded(4)], "e2e_mean>+5%")
    assert [gate.failed for gate in found.gates] == [False]
    assert {c.quantity for c in found.changes} == {q.name for q in DEFAULT_QUANTITIES}


def test_the_same_runs_give_the_same_comparison_again() -> None:
    sides = [recorded(1), recorded(2)], [recorded(3), recorded(4)]
    assert compared(*sides) == compared(*sides)
