"""The cost of the SDK, beside the `openai` package and a lower bound for both, measured in one run.

    python benchmarks/sdk.py [--rig PATH/TO/sse_server] [--rounds 3] [--only chunks]
    python benchmarks/sdk.py --profile     # each step of a chunk alone

The server runs on core 0, the client on core 1; sides take turns; figures are CPU time of the client's process,
medians with the spread. `--rig` names a server in C that answers OpenAI's API and paces its tokens; without it the
project's own server does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
SIDES = ROOT / "benchmarks" / "sides"
SIDE, STEPS = SIDES / "client_cost.py", SIDES / "chunk_steps.py"

# work: (title, unit, server's pace, sides; the first is ours)
WORKS = {
    "chunks-uvloop": (
        "a typed chunk, 128 streams at a token per 25 ms, uvloop",
        "µs",
        "paced",
        ("ours", "openai", "floor"),
    ),
    "chunks-asyncio": ("the same on stock asyncio", "µs", "paced", ("ours", "openai", "floor")),
    "requests": ("a request that is not streamed, 64 at a time, uvloop", "µs", "blast", ("ours", "openai")),
    "first-tokens": ("4,000 streams until each has its first token, uvloop", "s", "slow", ("ours", "openai")),
    "memory": ("memory of an open stream, of 4,000", "KiB", "slow", ("ours", "openai")),
    "sync-waiting": (
        "a typed chunk, one stream, blocking, many in a read",
        "µs",
        "coalesced",
        ("ours", "httpx2", "openai"),
    ),
    "sync-each": (
        "the same, the server writes one after the other, as fast as it can",
        "µs",
        "blast",
        ("ours", "httpx2", "openai"),
    ),
}
PACES = {
    "paced": (["--ttft-ms", "100", "--itl-ms", "25"], "ttft_ms=100,itl_ms=25"),
    "blast": ([], "ttft_ms=0,itl_ms=0"),
    "coalesced": (["--coalesce"], "ttft_ms=0,itl_ms=0"),
    "slow": (["--ttft-ms", "20", "--itl-ms", "60000"], "ttft_ms=20,itl_ms=60000"),
}


@contextmanager
def server(rig: str | None, pace: str, port: int) -> Iterator[None]:
    flags, script = PACES[pace]
    if rig:
        command = [rig, "--port", str(port), *flags]
    else:
        command = [sys.executable, "-m", "mock_server", "--port", str(port), "--served-model-name", "m"]
        command += ["--engine", "scripted", "--script", script]
    with subprocess.Popen(
        ["taskset", "-c", "0", *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(port)
            yield
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    import socket

    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("error: the server did not come up")


def measure(work: str, side: str, port: int) -> float:
    command = ["taskset", "-c", "1", sys.executable, str(SIDE), work, side, str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"error: {work}, {side}: {done.stderr[-2000:]}")
    value: float = json.loads(done.stdout)
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rig")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only works whose name begins with this")
    parser.add_argument("--profile", action="store_true", help="where the time of a chunk goes")
    options = parser.parse_args()
    if options.profile:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        sys.exit(subprocess.run([sys.executable, str(STEPS)], env=environment, check=False).returncode)
    port = 9700
    for work, (title, unit, pace, sides) in WORKS.items():
        if not work.startswith(options.only):
            continue
        values: dict[str, list[float]] = {side: [] for side in sides}
        with server(options.rig, pace, port):
            for _ in range(options.rounds):
                for side in sides:
                    values[side].append(measure(work, side, port))
        port += 1
        ours = statistics.median(values["ours"])
        print(f"\n{work}: {title}")
        for side, found in values.items():
            median = statistics.median(found)
            ratio = (
                "" if side == "ours" else f"   ours is {median / ours:.2f} times {'less' if median > ours else 'that'}"
            )
            print(f"  {side:8} {median:9.2f} {unit}  [{min(found):.2f}, {max(found):.2f}]{ratio}")


if __name__ == "__main__":
    main()
