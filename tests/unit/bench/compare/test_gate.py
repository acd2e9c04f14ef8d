from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compare.difference import Difference, Estimate, difference
from bench.compare.gate import judge_gates, read_gate


def changed(change: float, variance: float = 1e-5) -> Difference:
    """Twelve blocks on each side."""
    return difference([Estimate(100, variance, 12)], [Estimate(100 * (1 + change), variance, 12)])


@pytest.mark.parametrize(
    ("text", "name", "is_above", "limit"),
    [
        ("ttft_p99>+5%", "ttft_p99", True, 0.05),
        (" itl_p50 > 2.5 % ", "itl_p50", True, 0.025),
        ("output_tokens_per_s<-3%", "output_tokens_per_s", False, -0.03),
        ("req_s<-.5%", "requests_per_s", False, -0.005),
        ("e2e_mean>0%", "e2e_mean", True, 0),
    ],
)
def test_limits_are_read(text: str, name: str, is_above: bool, limit: float) -> None:
    gate = read_gate(text)
    assert (gate.quantity.name, gate.is_above) == (name, is_above)
    assert gate.limit == pytest.approx(limit)


@pytest.mark.parametrize("text", ["ttft_p99", "ttft_p99>5", "ttft_p99>=5%", ">5%", "ttft_p99>five%", "a>5%>6%", ""])
def test_a_limit_without_its_parts_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as ttft_p99>\+5% \(got "):
        read_gate(text)


def test_a_limit_on_an_unknown_figure_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"must be a figure: ttft.*\(got 'speed'\)"):
        read_gate("speed>5%")


def test_nothing_can_fall_by_all_of_it() -> None:
    with pytest.raises(ValueError, match="above -100%"):
        read_gate("req_s<-100%")


def test_it_fails_when_the_interval_is_beyond_the_limit_and_not_when_the_figure_is() -> None:
    gate = read_gate("ttft_p99>+5%")
    (clear,) = judge_gates([gate], {"ttft_p99": changed(0.08)})
    (blurred,) = judge_gates([gate], {"ttft_p99": changed(0.08, variance=0.01)})
    assert clear.failed
    assert not blurred.failed


def test_a_rate_fails_below_its_limit() -> None:
    gate = read_gate("req_s<-3%")
    assert judge_gates([gate], {"requests_per_s": changed(-0.06)})[0].failed
    assert not judge_gates([gate], {"requests_per_s": changed(0.06)})[0].failed


def test_a_figure_that_cannot_be_compared_fails_its_gate_and_says_why() -> None:
    gate = read_gate("ttft_p99>+5%")
    (outcome,) = judge_gates([gate], {"ttft_p99": "p99 needs 299 samples, there are 100"})
    assert (outcome.failed, outcome.reason) == (True, "p99 needs 299 samples, there are 100")


def test_among_many_gates_a_change_must_be_clearer() -> None:
    """8 % with an error of 1.3 % is beyond 5 % alone, but not as one of forty figures."""
    gates = [read_gate(f"ttft_p{percent}>+5%") for percent in range(50, 90)]
    differences: dict[str, Difference | str] = {gate.quantity.name: changed(0, 8e-5) for gate in gates}
    differences["ttft_p50"] = changed(0.08, 8e-5)
    assert judge_gates(gates[:1], differences)[0].failed
    assert not judge_gates(gates, differences)[0].failed


@given(st.text(alphabet="ttft_p95><+-%. e", max_size=16))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        gate = read_gate(text)
        assert read_gate(gate.text) == gate
