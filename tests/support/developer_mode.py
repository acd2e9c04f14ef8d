"""Programs run as `python -X dev` runs them: whatever they leave open or ignore is a line on standard error."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.support.serving import ROOT

SLOW_STEP = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)
"""asyncio's line for a step that took longer than 0.1 s. On a busy machine any step does."""


def run_in_developer_mode(*arguments: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", *arguments]
    ended = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=timeout_s
    )
    ended.stderr = SLOW_STEP.sub("", ended.stderr)
    return ended
