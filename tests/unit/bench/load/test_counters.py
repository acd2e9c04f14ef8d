"""Prometheus' text to counters, and counters to what a load added."""

from __future__ import annotations

import pytest

from bench.load.counters import growth, read_counters
from bench.records.run import ServerCounters

TEXT = """\
# HELP vllm:request_success_total Count of successfully processed requests.
# TYPE vllm:request_success_total counter
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 3.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 4.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="other"} 100.0
vllm:request_success_created{engine="0",finished_reason="length",model_name="m"} 1.7e+09
vllm:prompt_tokens_total{engine="0",model_name="m"} 1.25e+06
vllm:prompt_tokens_total{engine="1",model_name="m"} 5 1395066363000
vllm:generation_tokens_total 12
python_gc_objects_collected_total{generation="0"} 9.0
"""


def test_counters_are_summed_over_engines_and_reasons_of_the_model() -> None:
    assert read_counters(TEXT, "m") == {
        "vllm:request_success_total": 7,
        "vllm:prompt_tokens_total": 1_250_005,
        "vllm:generation_tokens_total": 12,
    }


def test_labels_may_contain_any_text() -> None:
    text = 'vllm:prompt_tokens_total{model_name="a\\"b} 7",engine="0"} 5\n'
    assert read_counters(text, 'a\\"b} 7') == {"vllm:prompt_tokens_total": 5}


def test_another_page_has_no_counters() -> None:
    assert read_counters("<html>", "m") == {}
    assert growth({}, {}).problem == "its /metrics has none of vLLM's names"


def test_a_counter_that_appears_with_the_first_request_began_at_zero() -> None:
    before = {"vllm:prompt_tokens_total": 10}
    after = {"vllm:request_success_total": 2, "vllm:prompt_tokens_total": 30}
    assert growth(before, after) == ServerCounters(requests=2, prompt_tokens=20)


def test_counters_that_decreased_are_not_used() -> None:
    found = growth({"vllm:prompt_tokens_total": 10}, {"vllm:prompt_tokens_total": 3})
    assert found.problem == "they decreased: the server was restarted"


def test_invalid_samples_and_huge_values_are_left_out() -> None:
    name = "vllm:prompt_tokens_total"
    assert read_counters(f"{name}\n5\n{name}_more 6\n{name} 7 8 9\n{name} 3\r\n", "m") == {name: 3}
    assert read_counters(f'{name}{{a="{"x" * 20_000}"}} 4\n{name} 5', "m") == {name: 5}
    with pytest.raises(ValueError, match=r"in all 1\.80144e"):
        read_counters(f"{name} 9007199254740992\n" * 2, "m")
