"""The time to import the SDK, relative to the packages that every client needs.

    python benchmarks/import_time.py [--rounds 15]

Each figure is the median CPU time of fresh interpreters; the programs take turns, so that a busy moment affects all of
them. The ratio is to `import asyncio, ssl, pydantic, httptools`. Exits with 1 if a program is over its limit.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BASE = "import asyncio, ssl, pydantic, httptools"
# program: its limit, as a ratio to BASE
PROGRAMS: dict[str, float | None] = {
    "pass": None,
    BASE: None,
    f"{BASE}; from pydantic import BaseModel": None,
    "import sdk": 1.6,
    "from sdk import inference_client, get_model_list_client": 1.6,
    "from sdk import InferenceClient": 1.6,
    "from sdk import AsyncInferenceClient": 1.6,
    "from sdk import XRequestConfig": 1.6,
    "from sdk import XRequestConfig, inference_client": None,
    "from sdk import AsyncInferenceClient, XRequestConfig": None,
}


def cpu_s(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    times: dict[str, list[float]] = {program: [] for program in PROGRAMS}
    for program in PROGRAMS:
        cpu_s(program)  # compiles the modules
    for _ in range(rounds):
        for program in PROGRAMS:
            times[program].append(cpu_s(program))
    base = statistics.median(times[BASE])
    is_over = False
    print(f"{'':76} {'median':>8} {'min–max':>15}  ratio")
    for program, limit in PROGRAMS.items():
        values = times[program]
        ratio = statistics.median(values) / base
        spread = f"{min(values) * 1e3:.0f}–{max(values) * 1e3:.0f}"
        over = limit is not None and ratio > limit
        is_over |= over
        told = f"  over {limit}" if over else ""
        print(f"{program:76} {statistics.median(values) * 1e3:5.0f} ms {spread:>12} ms  {ratio:.2f}{told}")
    sys.exit(is_over)


if __name__ == "__main__":
    main()
