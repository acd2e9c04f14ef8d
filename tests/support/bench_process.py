"""`python -m bench` as a process of its own: what it prints, its exit code, how long it ran and the memory it took."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tests.support.serving import ROOT

_ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("OPENAI_")}


@dataclass(frozen=True)
class Ran:
    """A run of the bench that has ended."""

    code: int
    out: bytes
    err: bytes
    seconds: float
    megabytes: float

    @property
    def text(self) -> str:
        return (self.out + self.err).decode()


def run_bench(folder: Path, *arguments: str, limit_s: float = 60, **environment: str) -> Ran:
    """Run it with its results in `folder`; ends it after `limit_s`, which fails the test."""
    began = monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", *arguments, "--result-dir", str(folder / "runs")],
            cwd=ROOT,
            env=_ENVIRONMENT | environment,
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
        )
        status, peak_kb = Path(f"/proc/{process.pid}/status"), 0
        try:
            while process.poll() is None:
                assert monotonic() - began < limit_s, f"still running after {limit_s:g} s, {peak_kb / 1024:.0f} MB"
                found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
                peak_kb = max(peak_kb, int(found[1]) if found else 0)
                sleep(0.02)  # there is no event for memory
        finally:
            process.kill()
            process.wait()
        seconds = monotonic() - began
        out.seek(0)
        err.seek(0)
        return Ran(process.returncode, out.read(), err.read(), seconds, peak_kb / 1024)
