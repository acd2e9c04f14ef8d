"""`python -m bench` with its default options against a server, and what its report and its result say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RUN_LIMIT_S = 1200.0  # `transformers serve` answers one request at a time: 90 s alone on two cores
STREAMS = 64
OUTPUT_LEN = 128

# a busy machine slows the client, and then the verdict has to say so: these blame neither the server nor the plan
MACHINE = {"client_cpu", "client_error", "client_pause", "lateness", "loop_lag", "retransmits"}


@dataclass(frozen=True)
class Measured:
    """One run that has ended."""

    report: str
    stderr: str
    exit_code: int
    result: dict[str, Any]
    requests: list[dict[str, Any]]
    """The records of the load; those before it try what the server takes, and may be refused."""

    @property
    def counts(self) -> dict[str, Any]:
        counts: dict[str, Any] = self.result["counts"]
        return counts

    @property
    def reasons(self) -> set[str]:
        """Codes of the checks that lowered the verdict."""
        return {reason["code"] for reason in self.result["verdict"]["reasons"]}

    def check(self, code: str) -> str:
        """How a check of the run ended: pass, fail or n/a."""
        (status,) = [check["status"] for check in self.result["checks"] if check["code"] == code]
        return str(status)


def measure(url: str, folder: Path, *options: str) -> Measured:
    """Load the server at `url` as someone does who gives its address and nothing else; results go under `folder`."""
    command = [sys.executable, "-m", "bench", "--base-url", url, *options]
    keep = ["--json", str(folder / "result.json"), "--result-dir", str(folder / "runs")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}
    ended = subprocess.run(
        [*command, *keep], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=RUN_LIMIT_S
    )
    print(ended.stdout, ended.stderr, sep="\n")  # shown under a test that fails
    if not (folder / "result.json").exists():
        raise AssertionError(f"the bench ended with {ended.returncode} and no result: {ended.stderr}")
    (records,) = (folder / "runs").glob("*/requests.jsonl")
    return Measured(
        report=ended.stdout,
        stderr=ended.stderr,
        exit_code=ended.returncode,
        result=json.loads((folder / "result.json").read_text()),
        requests=[row for line in records.read_text().splitlines() if (row := json.loads(line))["phase"] == "load"],
    )


def assert_every_request_succeeded(run: Measured) -> None:
    assert run.counts["failures"] == []
    assert run.counts["failed"] == run.counts["cancelled"] == 0
    assert run.counts["ok"] == run.counts["sent"] >= STREAMS
    assert {row["outcome"] for row in run.requests} == {"ok"}
    assert f"✔ {run.counts['ok']:,} ok   ✘ 0 failed" in run.report
    assert run.exit_code == 0, run.stderr


def assert_verdict_blames_only(run: Measured, *codes: str) -> None:
    """Nothing lowered the verdict but these checks, or a busy machine."""
    assert run.reasons - MACHINE <= set(codes)
    level = run.result["verdict"]["level"]
    assert (level == "trusted") == (not run.reasons)
    if not run.reasons & MACHINE:
        assert level != "untrustworthy"
