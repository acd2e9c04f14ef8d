"""How long `import sdk` takes, beside what it cannot do without.

    python benchmarks/import_time.py

Each line is a fresh interpreter, the four in turn, so that a busy moment hits them alike. The ratio is to
`import asyncio, ssl, pydantic, httptools`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15
BASE = "import asyncio, ssl, pydantic, httptools"
PROGRAMS = {
    "(nothing)": "pass",
    BASE: BASE,
    "the same, and pydantic.BaseModel": f"{BASE}; from pydantic import BaseModel",
    "import sdk": "import sdk",
    "from sdk import inference_client": "from sdk import inference_client",
}


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name, code in PROGRAMS.items():
            times[name].append(seconds(code))
    base = statistics.median(times[BASE])
    print(f"{'':50} {'median':>8} {'min–max':>15}  ratio")
    for name, values in times.items():
        median = statistics.median(values)
        spread = f"{min(values) * 1e3:.0f}–{max(values) * 1e3:.0f}"
        print(f"{name:50} {median * 1e3:5.0f} ms {spread:>12} ms  {median / base:.2f}")


if __name__ == "__main__":
    main()
