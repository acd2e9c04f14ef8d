"""How true the bench's figures are, beside the log of a server that knows: reported against real, in one run.

    python benchmarks/bench_truth.py [--rig PATH/TO/sse_server] [--only closed] [--rounds 3] [--seconds 15]

The server runs alone on core 0, the bench on core 1; each case is run several times, and medians are shown with the
worst. `--rig` names a server in C that writes when each request was read and each token written; without it the
project's own truth server plays that part.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.truth.log import read_log

ROOT = Path(__file__).parent.parent
TTFT_MS, ITL_MS, TOKENS = 200, 20, 100

PACED = ["--ttft-ms", str(TTFT_MS), "--itl-ms", str(ITL_MS)]
# case: (load, server's pace)
CASES = {
    "closed-64": (["--concurrency", "64"], PACED),
    "closed-512": (["--concurrency", "512"], PACED),
    "closed-2048": (["--concurrency", "2048"], PACED),
    "poisson-100": (["--request-rate", "100"], PACED),
    "flat-64": (["--concurrency", "64"], []),
    "flat-512": (["--concurrency", "512"], []),
}


@dataclass
class Truth:
    """What the server logged: a request's first token after its request was read, and every token, by request id."""

    ttft_ms: dict[str, float]
    tokens_ns: dict[str, np.ndarray[Any, np.dtype[np.int64]]]


@contextmanager
def server(rig: str | None, pace: list[str], port: int, log: Path) -> Iterator[None]:
    if rig:
        command = [rig, "--port", str(port), *pace, "--log", str(log), "--log-each"]
    else:
        command = [sys.executable, "-m", "bench.truth", "--port", str(port), *pace, "--log", str(log)]
    with subprocess.Popen(
        [*real_time(), "taskset", "-c", "0", *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(port)
            yield
        finally:
            process.terminate()


def real_time() -> list[str]:
    """Real-time priority, where this user may have it."""
    allowed = subprocess.run(["chrt", "-f", "50", "true"], capture_output=True, check=False).returncode == 0
    return ["chrt", "-f", "50"] if allowed else []


def favoured() -> list[str]:
    """Before what other sessions run: a session of its own, at the top of what the scheduler weighs."""
    script = 'echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"'
    return ["setsid", "--wait", "bash", "-c", script, "bash"]


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    sys.exit("error: the server did not come up")


def run_bench(
    load: list[str], port: int, options: argparse.Namespace, folder: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    command = [sys.executable, "-m", "bench", "--base-url", f"http://127.0.0.1:{port}", *load]
    command += [
        "--duration",
        str(options.seconds),
        "--output-len",
        str(TOKENS),
        "--result-dir",
        str(folder),
        "--no-live",
    ]
    before = [*(favoured() if options.favoured else []), "taskset", "-c", "1"]
    done = subprocess.run([*before, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    (run,) = folder.iterdir()
    records = [json.loads(line) for line in (run / "requests.jsonl").read_text().splitlines()]
    result: dict[str, Any] = json.loads((run / "result.json").read_text())
    facts = json.loads((run / "run.json").read_text())
    return result | {"begun_ns": facts["begun_ns"]}, [record for record in records if record["phase"] == "load"]


def read_truth(rig: str | None, port: int, log: Path) -> Truth:
    if not rig:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/flush", timeout=10).close()
        answers = read_log(log).values()
        return Truth(
            {answer.id: (answer.stamps[0] - answer.read_ns) / 1e6 for answer in answers if answer.stamps},
            {answer.id: np.array(answer.stamps, dtype=np.int64) for answer in answers},
        )
    urllib.request.urlopen(f"http://127.0.0.1:{port}/rig/flush", timeout=10).close()
    with log.open() as lines:
        rows = list(csv.DictReader(lines))
    id_of = {int(row["seq"]): row["id"] for row in rows}
    each = np.fromfile(f"{log}.tok", dtype="<i8")
    tokens, at = {}, 0
    while at < len(each):
        sequence, n = int(each[at]), int(each[at + 1])
        tokens[id_of.get(sequence, "")] = each[at + 2 : at + 2 + n]
        at += 2 + n
    ttft = {row["id"]: (int(row["t_first"]) - int(row["t_read"])) / 1e6 for row in rows if int(row["t_first"])}
    return Truth(ttft, tokens)


def errors(result: dict[str, Any], records: list[dict[str, Any]], truth: Truth) -> dict[str, float]:
    """Reported minus true, over the same requests and the same window."""
    window, latency = result["headline"]["window"], result["headline"]["latency"]
    begin, end = (result["begun_ns"] + window[name] * 1e9 for name in ("begin_s", "end_s"))
    sample = [r for r in records if r["outcome"] == "ok" and begin <= r["send_ns"] < end]
    ttft = np.array([truth.ttft_ms[r["request_id"]] for r in sample])
    written = [truth.tokens_ns[r["request_id"]] for r in records if r["outcome"] == "ok"]
    gaps = [np.diff(tokens)[(tokens[1:] >= begin) & (tokens[1:] < end)] / 1e6 for tokens in written]
    itl = np.concatenate(gaps)
    true_rate = sum(int(((tokens >= begin) & (tokens < end)).sum()) for tokens in written) / (end - begin) * 1e9
    off = {}
    for label, name, true in (("TTFT", "ttft", ttft), ("ITL", "icl", itl)):
        for percent in (50, 99):
            told = latency[name]["percentiles"][str(percent)]["value"]  # null for a sample that is too small
            off[f"{label} p{percent}"] = float("nan") if told is None else told - float(np.percentile(true, percent))
    return off | {
        "tok/s %": (result["headline"]["output_tokens_per_s"] / true_rate - 1) * 100,
    }


def facts(result: dict[str, Any], records: list[dict[str, Any]]) -> dict[str, float]:
    headline, client = result["headline"], result["client"]
    claimed = headline["latency"]["ttft"]["percentiles"]["99"]["client_error"]
    return {
        "tok/s": headline["output_tokens_per_s"],
        "open": headline["mean_concurrency"],
        "claimed": claimed if claimed is not None else float("nan"),
        "CPU": client["cpu_share"],
        "waited for CPU": client["cpu_wait_share"],
        "µs/tok": client["cpu_share"] * 1e6 / max(headline["output_tokens_per_s"], 1),
        "read lag p99": client["read_lag_p99_ms"] or float("nan"),
        "late p99": headline["latency"]["lateness"]["percentiles"]["99"]["value"] or float("nan"),
        "merged": client["merged_reads"] or 0,
        "peak MB": client["peak_mb"],
        "wrong": sum(r["completion_tokens"] != TOKENS or r["outcome"] != "ok" for r in records),
    }


def measure(case: str, options: argparse.Namespace, port: int) -> tuple[dict[str, float], str]:
    load, pace = CASES[case]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        log = Path(scratch) / "truth.csv"
        with server(options.rig, pace, port, log):
            result, records = run_bench(load, port, options, Path(scratch) / "runs")
            if not pace:
                return facts(result, records), result["verdict"]["level"]
            return errors(result, records, read_truth(options.rig, port, log)) | facts(result, records), result[
                "verdict"
            ]["level"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rig")
    parser.add_argument("--only", default="", help="only the cases whose name begins so")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--favoured", action="store_true", help="put the bench before others who use its core")
    options = parser.parse_args()
    port = 9800
    print(f"load of the machine before: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    chosen = [case for case in CASES if case.startswith(options.only)]
    found: dict[str, list[dict[str, float]]] = {case: [] for case in chosen}
    levels: dict[str, list[str]] = {case: [] for case in chosen}
    for _ in range(options.rounds):
        for case in chosen:
            figures, level = measure(case, options, port)
            found[case].append(figures)
            levels[case].append(level)
            port += 1
    for case in chosen:
        print(f"\n{case}: {', '.join(levels[case])}")
        for name in found[case][0]:
            values = [figures[name] for figures in found[case]]
            print(f"  {name:14} {statistics.median(values):12,.3f}   worst {max(values, key=abs):12,.3f}")


if __name__ == "__main__":
    main()
