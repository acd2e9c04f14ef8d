"""Plain `vllm serve`, on the CPU: honours what is asked, and counts on its own what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign.measured import OUTPUT_LEN, assert_every_request_succeeded, assert_verdict_blames_only, measure

pytestmark = pytest.mark.foreign


def test_default_options_measure_vllm_serve(vllm_serve: str, tmp_path: Path) -> None:
    run = measure(vllm_serve, tmp_path)
    assert_every_request_succeeded(run)
    negotiated = run.result["negotiated"]
    assert negotiated["fixed_length"] is negotiated["continuous_usage"] is True
    assert negotiated["refused"] == []
    assert run.counts["output_tokens"] == OUTPUT_LEN * run.counts["ok"]
    assert run.check("tokens_match_usage") == "pass"
    assert run.check("server_counters") == "pass"
    assert run.result["headline"]["tokens_are"] == "usage"
    assert_verdict_blames_only(run, "steady_window")
