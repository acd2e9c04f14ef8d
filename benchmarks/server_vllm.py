"""This project's server and plain `vllm serve` over the same engine with the same arguments, side by side.

    .venv-vllm/bin/python benchmarks/server_vllm.py [--rounds 5] [--streams 16] [--seconds 20] [-- ARGUMENT…]

Each round starts the one server, loads it by `python -m bench`, stops it, and does the same with the other; who goes
first changes from round to round. Medians, least and most are shown. `--keep` adds the rounds to those of earlier runs,
and shows all. Several numbers of streams, `16,64`, are measured one after the other on the same start. Arguments after
`--` go to both servers instead of those for a small machine without a GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MODEL = ROOT / ".cache" / "smollm2"
ON_A_CPU = ["--enforce-eager", "--max-model-len", "2048", "--kv-cache-memory-bytes", "512M"]
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_WORKER_MULTIPROC_METHOD": "spawn"}
# what this project's server sets by itself on a CPU, for both
CPU_ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, sorted(os.sched_getaffinity(0)))),
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "TORCHDYNAMO_DISABLE": "1",
}
START_LIMIT_S = 240
STOP_LIMIT_S = 30
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MB = 1e6


@dataclass(frozen=True)
class Figures:
    """Of one side in one round. `front_*` are of the process that clients talk to, `all_mb` of its children too."""

    side: str
    streams: int
    tokens_per_s: float
    ttft_ms: float
    gap_ms: float
    front_cpu_us_per_token: float
    ready_s: float
    front_mb: float
    all_mb: float


UNITS = {
    "tokens_per_s": "tokens/s",
    "ttft_ms": "TTFT p50, ms",
    "gap_ms": "gap between events p50, ms",
    "front_cpu_us_per_token": "front end's CPU, µs a token",
    "ready_s": "start to ready, s",
    "front_mb": "front end's memory, MB",
    "all_mb": "memory of all, MB",
}


def command(side: str, port: int, model: Path, arguments: list[str]) -> list[str]:
    address = ("--host", "127.0.0.1", "--port", str(port), "--served-model-name", "model")
    programs = {
        "ours": (sys.executable, "-m", "mock_server", "deploy", "--model", str(model)),
        "vllm serve": (sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(model)),
    }
    return [*programs[side], *address, *(arguments or ON_A_CPU)]


@contextlib.contextmanager
def server(side: str, model: Path, arguments: list[str]) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """The process, its port, and how long it took to be ready."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command(side, port, model, arguments), cwd=ROOT,
            env=os.environ | ENVIRONMENT | ({} if arguments else CPU_ENVIRONMENT), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            while not answers(port):
                if process.poll() is not None or time.monotonic() - began > START_LIMIT_S:
                    log.seek(0)
                    sys.exit(f"error: {side} is not ready:\n{log.read().decode(errors='replace')[-3000:]}")
                time.sleep(0.1)
            yield process, port, time.monotonic() - began
        finally:
            stop(process)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """The whole group: politely, then for sure."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def measure(side: str, options: argparse.Namespace) -> Iterator[Figures]:
    with server(side, options.model, options.arguments) as (process, port, ready_s):
        for streams in options.streams:
            load(port, 2, streams, 4)  # what is only done once, done
            before_s = cpu_s(process.pid)
            result = load(port, options.seconds, streams, options.tokens)
            used_s = cpu_s(process.pid) - before_s
            memory = [resident_mb(pid) for pid in [process.pid, *children(process.pid)]]
            latency = result["whole_run"]["latency"]
            yield Figures(
                side=side,
                streams=streams,
                tokens_per_s=result["whole_run"]["output_tokens_per_s"],
                ttft_ms=latency["ttft"]["percentiles"]["50"]["value"],
                gap_ms=latency["icl"]["percentiles"]["50"]["value"],
                front_cpu_us_per_token=used_s / result["counts"]["output_tokens"] * 1e6,
                ready_s=ready_s,
                front_mb=memory[0],
                all_mb=sum(memory),
            )


def load(port: int, seconds: float, streams: int, tokens: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "result.json")
        command = [
            sys.executable, "-m", "bench", "--base-url", f"http://127.0.0.1:{port}", "--concurrency", str(streams),
            "--duration", str(seconds), "--output-len", str(tokens), "--temperature", "0", "--no-live",
            "--json", str(path), "--result-dir", folder,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"error: the bench says:\n{done.stdout}{done.stderr}")
        result: dict[str, Any] = json.loads(path.read_text())
        return result


def cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS_PER_S


def resident_mb(pid: int) -> float:
    """A share of what several processes have in common."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / MB
    raise ValueError(f"no Pss of process {pid}")


def children(pid: int) -> list[int]:
    found = [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    return found + [further for child in found for further in children(child)]


def table(rounds: list[Figures]) -> str:
    sides = sorted({figures.side for figures in rounds})
    lines = ["| median [least, most] | " + " | ".join(sides) + " |", "|---" + "|---:" * len(sides) + "|"]
    for name, unit in UNITS.items():
        cells = []
        for side in sides:
            values = [getattr(figures, name) for figures in rounds if figures.side == side]
            cells.append(f"{statistics.median(values):,.4g} [{min(values):,.4g}, {max(values):,.4g}]")
        lines.append(f"| {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=lambda text: [int(part) for part in text.split(",")], default=[16])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    found: list[Figures] = []
    if options.keep and options.keep.exists():
        found = [Figures(**json.loads(line)) for line in options.keep.read_text().splitlines()]
    before = len(found) // (2 * len(options.streams))
    for number in range(before, before + options.rounds):
        for side in ("ours", "vllm serve")[:: -1 if number % 2 else 1]:
            for figures in measure(side, options):
                found.append(figures)
                line = json.dumps(asdict(figures))
                print(line, file=sys.stderr, flush=True)
                if options.keep:
                    with options.keep.open("a") as file:
                        file.write(line + "\n")
    for streams in sorted({figures.streams for figures in found}):
        chosen = [figures for figures in found if figures.streams == streams]
        print(f"\n{streams} streams, {options.tokens} tokens an answer, {len(chosen) // 2} rounds\n")
        print(table(chosen))


if __name__ == "__main__":
    main()
