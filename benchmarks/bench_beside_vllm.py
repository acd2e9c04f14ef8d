"""The figures of this bench and of `vllm bench serve` beside what the server knows, in turns.

    .venv-vllm/bin/python benchmarks/bench_beside_vllm.py [--rig PATH/TO/sse_server] [--rounds 3] [--streams 64,512]
    .venv-vllm/bin/python benchmarks/bench_beside_vllm.py --server http://127.0.0.1:8000 --streams 4

The first form loads a server that logs what it does (alone on core 0, the client on core 1; without `--rig` the
project's own). The second loads a real vLLM, whose own histograms give the means it saw, warm-ups included;
`--input-len` is that of vLLM's tool, `--template` the tokens that the chat template adds and the server counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_truth import ITL_MS, TOKENS, TTFT_MS, Truth, read_truth, server

ROOT = Path(__file__).parent.parent
Figures = dict[str, float]
_SAMPLE = re.compile(r"^vllm:(\w+_seconds)_(sum|count)\{.*\} (\S+)$", re.M)


class Load:
    """One load, run by either tool against one address."""

    def __init__(self, options: argparse.Namespace, url: str, streams: int, *, pinned: bool) -> None:
        self.options, self.url, self.streams = options, url, streams
        self.count = options.requests or streams * 5
        self._before = ["taskset", "-c", "1"] if pinned else []

    def ours(self, folder: Path) -> Figures:
        length = self.options.input_len + self.options.template
        command = [sys.executable, "-m", "bench", "--base-url", self.url, "--concurrency", f"{self.streams}"]
        command += ["--num-requests", f"{self.count}", "--input-len", f"{length}", "--output-len", f"{TOKENS}"]
        self._run([*command, "--warmup", f"{self.streams}", "--result-dir", str(folder)])
        (run,) = folder.iterdir()
        result: dict[str, Any] = json.loads((run / "result.json").read_text())
        latency = result["headline"]["latency"]
        found = {"tok/s": result["headline"]["output_tokens_per_s"], "gaps": float(latency["itl"]["n"])}
        for name in ("ttft", "itl", "tpot", "e2e"):
            found[f"{name} mean"] = latency[name]["mean"]
            for percent in ("50", "99"):
                value = latency[name]["percentiles"][percent]["value"]
                found[f"{name} p{percent}"] = float("nan") if value is None else value
        return found

    def theirs(self, folder: Path) -> Figures:
        folder.mkdir()
        command = [str(Path(sys.executable).parent / "vllm"), "bench", "serve", "--base-url", self.url]
        command += ["--backend", "openai-chat", "--endpoint", "/v1/chat/completions", "--model", self.options.model]
        command += ["--tokenizer", str(self.options.tokenizer), "--dataset-name", "random", "--ignore-eos"]
        command += ["--random-input-len", f"{self.options.input_len}", "--random-output-len", f"{TOKENS}"]
        command += ["--num-prompts", f"{self.count}", "--max-concurrency", f"{self.streams}"]
        command += ["--num-warmups", f"{self.streams}", "--percentile-metrics", "ttft,tpot,itl,e2el"]
        command += ["--metric-percentiles", "50,99", "--save-result", "--save-detailed"]
        self._run([*command, "--result-filename", str(folder / "result.json")])
        result: dict[str, Any] = json.loads((folder / "result.json").read_text())
        found = {"tok/s": result["output_throughput"], "gaps": float(sum(map(len, result["itls"])))}
        for name, key in (("ttft", "ttft"), ("itl", "itl"), ("tpot", "tpot"), ("e2e", "e2el")):
            found[f"{name} mean"] = result[f"mean_{key}_ms"]
            found[f"{name} p50"], found[f"{name} p99"] = result[f"p50_{key}_ms"], result[f"p99_{key}_ms"]
        return found

    def _run(self, command: list[str]) -> None:
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*self._before, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"error: {' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")


Side = Callable[[Load, Path], Figures]
SIDES: dict[str, Side] = {"this bench": Load.ours, "vllm bench serve": Load.theirs}


def on_a_server_that_logs(options: argparse.Namespace, streams: int, side: Side, port: int) -> Figures:
    """One side's figures, and those of the log over every request that was as long as asked for."""
    pace = ["--ttft-ms", str(TTFT_MS), "--itl-ms", str(ITL_MS)]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        log = Path(scratch) / "truth.csv"
        with server(options.rig, pace, port, log):
            found = side(Load(options, f"http://127.0.0.1:{port}", streams, pinned=True), Path(scratch) / "run")
            return found | known(read_truth(options.rig, port, log))


def known(truth: Truth) -> Figures:
    whole = {name: stamps for name, stamps in truth.tokens_ns.items() if len(stamps) == TOKENS}
    ttft = [truth.ttft_ms[name] for name in whole]
    gaps = np.concatenate([np.diff(stamps) for stamps in whole.values()]) / 1e6
    found = {"server: gaps": float(len(gaps)), "server: ttft mean": float(np.mean(ttft))}
    for percent in (50, 99):
        found[f"server: ttft p{percent}"] = float(np.percentile(ttft, percent))
        found[f"server: itl p{percent}"] = float(np.percentile(gaps, percent))
    return found


def on_a_real_vllm(options: argparse.Namespace, streams: int, side: Side) -> Figures:
    """One side's figures, and the means that vLLM's own histograms gained meanwhile."""
    before = histograms(options.server)
    with tempfile.TemporaryDirectory() as scratch:
        found = side(Load(options, options.server, streams, pinned=False), Path(scratch) / "run")
    gained = {key: value - before.get(key, 0.0) for key, value in histograms(options.server).items()}
    for label, name in (
        ("ttft", "time_to_first_token_seconds"),
        ("itl", "inter_token_latency_seconds"),
        ("e2e", "e2e_request_latency_seconds"),
    ):
        found[f"server: {label} mean"] = 1000 * gained[name, "sum"] / gained[name, "count"]
    return found


def histograms(url: str) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        return {(name, part): float(value) for name, part, value in _SAMPLE.findall(answer.read().decode())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rig", help="a server in C that logs what it does")
    parser.add_argument("--server", help="the address of a real vLLM instead")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--tokenizer", type=Path, default=ROOT / ".cache" / "smollm2")
    parser.add_argument("--streams", default="64,512")
    parser.add_argument("--requests", type=int, default=0, help="in each run; five a stream by default")
    parser.add_argument("--input-len", type=int, default=64)
    parser.add_argument("--template", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    port = 9900
    for streams in map(int, options.streams.split(",")):
        found: dict[str, list[Figures]] = {side: [] for side in SIDES}
        for _ in range(options.rounds):
            for name, side in SIDES.items():
                if options.server:
                    found[name].append(on_a_real_vllm(options, streams, side))
                else:
                    found[name].append(on_a_server_that_logs(options, streams, side, port))
                port += 1
        for name, rounds in found.items():
            print(f"\n{streams} streams, {name}: median [least, most]")
            for figure in rounds[0]:
                values = [one[figure] for one in rounds]
                print(f"  {figure:20} {statistics.median(values):11,.2f}  [{min(values):,.2f}, {max(values):,.2f}]")


if __name__ == "__main__":
    main()
