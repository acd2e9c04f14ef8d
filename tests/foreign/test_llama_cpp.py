"""llama.cpp's server: few slots, long queues, and a connection closed after each stream without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign.measured import OUTPUT_LEN, assert_every_request_succeeded, assert_verdict_blames_only, measure

pytestmark = pytest.mark.foreign


def test_default_options_measure_llama_cpp(llama_cpp: str, tmp_path: Path) -> None:
    run = measure(llama_cpp, tmp_path)
    assert_every_request_succeeded(run)
    # it takes the fixed length, and sends usage at the end only
    assert run.result["negotiated"]["fixed_length"] is True
    assert run.counts["output_tokens"] == OUTPUT_LEN * run.counts["ok"]
    assert {row["completion_tokens"] for row in run.requests} == {OUTPUT_LEN}
    # each answer costs a connection: known before the load, or opened again, counted and shown; never a failure
    assert run.counts["connections_opened"] >= run.counts["ok"]
    reopened = run.counts["reopened"]
    assert "closes the connection after each answer" in run.report or (
        reopened and f"{reopened:,} reopened" in run.report
    )
    # a queue this long may leave no window in which all streams were open for as long as a request takes
    assert_verdict_blames_only(run, "steady_window", "concurrency")
