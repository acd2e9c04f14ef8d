"""aimock: a mock in Node.js that repeats one text whatever length is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.foreign.conftest import StartAimock
from tests.foreign.measured import (
    Measured,
    assert_every_request_succeeded,
    assert_verdict_blames_only,
    measure,
)

pytestmark = pytest.mark.foreign

ANSWER_TOKENS = 48  # as aimock counts its own text


def assert_lengths_are_as_they_come(run: Measured) -> None:
    """The server ignores the length without a word: the first request sees it, and the report says so."""
    assert run.result["negotiated"]["fixed_length"] is False
    assert "at most 128 tokens out" in run.report
    assert run.result["notes"]
    assert run.counts["output_tokens"] == ANSWER_TOKENS * run.counts["ok"]


def test_default_options_measure_a_paced_mock_and_trust_the_figures(start_aimock: StartAimock, tmp_path: Path) -> None:
    with start_aimock("paced.json") as url:
        run = measure(url, tmp_path)
    assert_every_request_succeeded(run)
    assert_lengths_are_as_they_come(run)
    # its finish reason comes one pause after the last text, which is the server's time and not an error of the client
    assert_verdict_blames_only(run)
    # the answers file asks for 100 ms, and then for 20 chunks a second, each give or take a tenth
    latency = run.result["headline"]["latency"]
    assert latency["ttft"]["percentiles"]["50"]["value"] > 85
    assert latency["icl"]["percentiles"]["50"]["value"] > 40


def test_default_options_measure_a_mock_that_answers_at_once(start_aimock: StartAimock, tmp_path: Path) -> None:
    with start_aimock("instant.json") as url:
        run = measure(url, tmp_path)
    assert_every_request_succeeded(run)
    assert_lengths_are_as_they_come(run)
    # the answers are there before the client has sent the next request: it may be the limit, and then says so
    assert_verdict_blames_only(run, "concurrency", "littles_law")
    if run.result["verdict"]["level"] == "degraded":
        assert run.reasons & {"client_cpu", "lateness", "client_pause"}
