"""`python -m bench` measures a server that nobody here wrote, and its counts are the server's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.vllm_server import MODEL, ROOT, VllmServer

pytestmark = pytest.mark.vllm

COUNTERS = (
    "generation_tokens_total",
    "prompt_tokens_total",
    "time_to_first_token_seconds_sum",
    "request_success_total",
)


def counters(server: VllmServer) -> dict[str, float]:
    return {name: server.metric(f"vllm:{name}") for name in COUNTERS}


def test_eight_streams_for_twenty_seconds(server: VllmServer, tmp_path: Path) -> None:
    before = counters(server)
    command = [sys.executable, "-m", "bench", "--base-url", server.url, "--concurrency", "8", "--duration", "20"]
    keep = ["--json", str(tmp_path / "result.json"), "--result-dir", str(tmp_path / "runs")]
    ended = subprocess.run([*command, *keep], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "8 streams · 20 s" in ended.stdout
    server.wait_for_metric("vllm:num_requests_running", 0)
    counted = {name: value - before[name] for name, value in counters(server).items()}

    result = json.loads((tmp_path / "result.json").read_text())
    counts = result["counts"]
    assert result["target"]["model"] == MODEL
    assert counts["ok"] == counts["sent"] >= 8
    assert counts["failed"] == counts["cancelled"] == 0
    assert counts["output_tokens"] == 128 * counts["ok"]
    assert result["headline"]["tokens_are"] == "usage"
    assert {check["code"]: check["status"] for check in result["checks"]}["tokens_match_usage"] == "pass"
    latency = result["whole_run"]["latency"]
    assert 0 < latency["ttft"]["mean"] < latency["e2e"]["mean"]
    assert 0 < latency["itl"]["mean"] < latency["e2e"]["mean"] / 100

    # the raw records have the warm-up too: with it every token that vLLM counted is accounted for
    (records,) = (tmp_path / "runs").glob("*/requests.jsonl")
    rows: list[dict[str, Any]] = [json.loads(line) for line in records.read_text().splitlines()]
    assert len(rows) == counted["request_success_total"]
    assert sum(row["completion_tokens"] for row in rows) == counted["generation_tokens_total"]
    assert sum(row["prompt_tokens"] for row in rows) == counted["prompt_tokens_total"]
    # and no token was seen before vLLM had it
    ttft_s = sum(row["first_ns"] - row["send_ns"] for row in rows) / 1e9
    assert ttft_s >= counted["time_to_first_token_seconds_sum"]
