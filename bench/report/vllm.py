"""The result in the form of `vllm bench serve`: its keys, its definitions, its text.

ITL is the gap between chunks, TPOT divides by all tokens but one, throughput covers the whole run, and p99 is given for
any sample. According to the source of vLLM 0.33, vllm/benchmarks/serve.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from bench.arrays import Floats
from bench.figures.request_table import RequestTable
from bench.figures.token_flow import Moments, walk
from bench.records.record import Columns
from bench.records.run import Run
from bench.report.material import Material
from bench.shown_text import file_name_part
from bench.units import NS_PER_MS, NS_PER_S

FIGURES = {
    "ttft": ("TTFT", "Time to First Token"),
    "tpot": ("TPOT", "Time per Output Token (excl. 1st token)"),
    "itl": ("ITL", "Inter-token Latency"),
    "e2el": ("E2EL", "End-to-end Latency"),
}
DETAILS = ("input_lens", "output_lens", "ttfts", "itls", "latencies", "start_times", "errors")


def show(material: Material) -> str:
    """The text for `--format vllm`."""
    return vllm_text(material.once(result_of))


def result_of(material: Material) -> dict[str, Any]:
    """The content of its result file for this material."""
    return vllm_result(material.run, material.columns, material.moments)


def vllm_result(run: Run, columns: Columns, moments: Moments) -> dict[str, Any]:
    """The content of its result file, with the details of all requests in their planned order."""
    requests = RequestTable(columns)
    order = np.argsort(requests.asked.request, kind="stable")
    gaps, stamps = _events(requests, moments)
    completed = requests.completed
    output = np.where(completed, requests.counts.tokens, 0)
    duration_s = _duration_s(requests)
    total_input = int(np.maximum(requests.counts.prompt_tokens, 0)[completed].sum())
    total_output = int(output.sum())
    tpot: Floats = np.zeros(len(requests))
    several = completed & (output > 1)
    tpot[several] = (requests.figure("e2e").ms - requests.figure("ttft").ms)[several] / (output[several] - 1)
    samples = {
        "ttft": requests.figure("ttft").ms[completed],
        "tpot": tpot[several],
        "itl": np.concatenate([gaps[row] for row in np.flatnonzero(completed)] or [np.empty(0)]),
        "e2el": requests.figure("e2e").ms[completed],
    }
    found = _head(run) | {
        "duration": duration_s,
        "completed": int(completed.sum()),
        "failed": int((~completed).sum()),
        "total_input_tokens": total_input,
        "total_output_tokens": total_output,
        "request_throughput": int(completed.sum()) / duration_s,
        "request_goodput": _goodput(run.view.goodput, requests, tpot) / duration_s if run.view.goodput else None,
        "output_throughput": total_output / duration_s,
        "total_token_throughput": (total_input + total_output) / duration_s,
        "input_lens": np.maximum(requests.counts.prompt_tokens, 0)[order].tolist(),
        "output_lens": output[order].tolist(),
        "ttfts": _seconds(requests.figure("ttft").ms[order]),
        "itls": [(gaps[row] / 1000).tolist() for row in order],
        "latencies": _seconds(requests.figure("e2e").ms[order]),
        "start_times": (requests.times.send_ns[order] / NS_PER_S).tolist(),
        "errors": [columns.errors[row].error if row in columns.errors else "" for row in order.tolist()],
        "max_output_tokens_per_s": _peak([stamps[row] for row in np.flatnonzero(completed)], requests.times.send_ns),
        "max_concurrent_requests": _most_open(requests),
    }
    for name, sample in samples.items():
        found |= _statistics(name, sample, run.view.percentiles)
    return found


def without_details(result: Mapping[str, Any]) -> dict[str, Any]:
    """The content that is saved without `--save-detailed`."""
    return {key: value for key, value in result.items() if key not in DETAILS}


def vllm_text(result: Mapping[str, Any]) -> str:
    """The text that it prints."""
    lines = ["{s:{c}^{n}}".format(s=" Serving Benchmark Result ", n=50, c="=")]
    lines += [_line("Successful requests:", result["completed"]), _line("Failed requests:", result["failed"])]
    if result["max_concurrency"] is not None:
        lines.append(_line("Maximum request concurrency:", result["max_concurrency"]))
    if result["request_rate"] != "inf":
        lines.append(_line("Request rate configured (RPS):", float(result["request_rate"])))
    lines += [
        _line("Benchmark duration (s):", float(result["duration"])),
        _line("Total input tokens:", result["total_input_tokens"]),
        _line("Total generated tokens:", result["total_output_tokens"]),
        _line("Request throughput (req/s):", float(result["request_throughput"])),
    ]
    if result["request_goodput"] is not None:
        lines.append(_line("Request goodput (req/s):", float(result["request_goodput"])))
    lines += [
        _line("Output token throughput (tok/s):", float(result["output_throughput"])),
        _line("Peak output token throughput (tok/s):", float(result["max_output_tokens_per_s"])),
        _line("Peak concurrent requests:", float(result["max_concurrent_requests"])),
        _line("Total token throughput (tok/s):", float(result["total_token_throughput"])),
    ]
    for name, (short, title) in FIGURES.items():
        lines += [f"{title:-^50}", _line(f"Mean {short} (ms):", result[f"mean_{name}_ms"])]
        lines.append(_line(f"Median {short} (ms):", result[f"median_{name}_ms"]))
        for key, value in result.items():
            if key.startswith("p") and key.endswith(f"_{name}_ms"):
                lines.append(_line(f"P{key[1:].partition('_')[0]} {short} (ms):", value))
    return "\n".join([*lines, "=" * 50]) + "\n"


def default_filename(result: Mapping[str, Any], backend: str) -> str:
    """The name that it gives its file."""
    most = "" if result["max_concurrency"] is None else f"-concurrency{result['max_concurrency']}"
    model = file_name_part(str(result["model_id"]).rpartition("/")[2])
    return f"{backend}-{result['request_rate']}qps{most}-{model}-{result['date']}.json"


def _head(run: Run) -> dict[str, Any]:
    load = run.load
    backend = "openai-chat" if run.target.kind == "chat" else "openai"
    return {
        "date": datetime.fromisoformat(run.started).strftime("%Y%m%d-%H%M%S"),
        "endpoint_type": backend,
        "backend": backend,
        "label": None,
        "model_id": run.target.model,
        "tokenizer_id": None,
        "num_prompts": load.requests,
        "request_rate": "inf" if load.rate is None else load.rate,
        "burstiness": 1.0 if load.arrival_process is None else load.arrival_process.burstiness,
        "max_concurrency": load.streams,
    }


def _events(requests: RequestTable, moments: Moments) -> tuple[list[Floats], list[Floats]]:
    """For each request: the gaps between its token events (ms), and the time of each event (ns)."""
    gaps: list[list[Floats]] = [[] for _ in range(len(requests))]
    stamps: list[list[Floats]] = [[] for _ in range(len(requests))]
    for events in walk(requests, moments()):
        rows, begins = np.unique(events.row, return_index=True)
        ends = np.append(begins[1:], len(events.row))
        for row, begin, end in zip(rows.tolist(), begins.tolist(), ends.tolist(), strict=True):
            gap = events.gap_ns[begin:end]
            gaps[row].append(gap[gap >= 0] / NS_PER_MS)
            stamps[row].append(events.ns[begin:end].astype(np.float64))
    empty = np.empty(0)
    return [np.concatenate(g or [empty]) for g in gaps], [np.concatenate(s or [empty]) for s in stamps]


def _duration_s(requests: RequestTable) -> float:
    """From the first send to the last end."""
    if len(requests) == 0:
        return 0.0
    return float(max(requests.times.end_ns.max() - requests.times.send_ns.min(), 1) / NS_PER_S)


def _goodput(slos: Mapping[str, float], requests: RequestTable, tpot: Floats) -> int:
    """How many successes met every limit; a missing TPOT counts as 0, as in vLLM."""
    met = requests.completed.copy()
    for name, limit in slos.items():
        met &= (tpot if name == "tpot" else requests.figure(name).ms) <= limit
    return int(met.sum())


def _seconds(values_ms: Floats) -> list[float]:
    """Seconds; 0 for a value that does not exist."""
    seconds: list[float] = (np.nan_to_num(values_ms) / 1000).tolist()
    return seconds


def _statistics(name: str, sample: Floats, percents: tuple[float, ...]) -> dict[str, float]:
    values = sample if len(sample) else np.zeros(1)
    found = {
        f"mean_{name}_ms": float(values.mean()),
        f"median_{name}_ms": float(np.median(values)),
        f"std_{name}_ms": float(values.std()),
    }
    return found | {f"p{percent:g}_{name}_ms": float(np.percentile(values, percent)) for percent in percents}


def _peak(stamps: list[Floats], sends_ns: Any) -> float:
    """The largest number of chunks in one second, with seconds counted from the first send."""
    if not stamps:
        return 0.0
    seconds = ((np.concatenate(stamps) - float(sends_ns.min())) / NS_PER_S).astype(np.int64)
    return float(np.bincount(np.maximum(seconds, 0)).max()) if len(seconds) else 0.0


def _most_open(requests: RequestTable) -> int:
    """The largest number of requests open in one second; each request counts in every second that it touches."""
    rows = requests.completed
    if not rows.any():
        return 0
    origin = int(requests.times.send_ns[rows].min())
    first = (requests.times.send_ns[rows] - origin) // NS_PER_S
    last = (requests.times.last_ns[rows] - origin) // NS_PER_S
    steps = np.zeros(int(last.max()) + 2, dtype=np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, last + 1, -1)
    return int(np.cumsum(steps).max())


def _line(label: str, value: Any) -> str:
    return f"{label:<40} {value:<10.2f}" if isinstance(value, float) else f"{label:<40} {value:<10}"
