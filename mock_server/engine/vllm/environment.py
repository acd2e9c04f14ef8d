"""The environment that vLLM starts in: settings that it reads from variables, not from arguments.

Variables that the user has set stay unchanged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from mock_server.engine.hf.host_memory import default_cache_bytes
from mock_server.logs.output import TEXT_FORM, JsonFormatter, TextFormatter, logs_json

_FEW_CORES = 4


def prepare(environ: MutableMapping[str, str], log_file: Path) -> None:
    """Call this before vLLM is imported. All its processes then log in the format of this process."""
    environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")  # a forked child of a process with threads can hang
    environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if logs_json() or environ.get("TERM") == "dumb" or not sys.stderr.isatty():
        environ.setdefault("TQDM_DISABLE", "1")  # progress bars are for terminals
    if "VLLM_LOGGING_CONFIG_PATH" not in environ:
        config = log_file.with_suffix(".json")
        config.write_text(json.dumps(log_config(log_file, environ.get("VLLM_LOGGING_LEVEL", "WARNING"))))
        environ["VLLM_LOGGING_CONFIG_PATH"] = str(config)


def forget(environ: MutableMapping[str, str], folder: Path) -> None:
    """Call this when the folder of the log file is removed."""
    if Path(environ.get("VLLM_LOGGING_CONFIG_PATH", "")).parent == folder:
        del environ["VLLM_LOGGING_CONFIG_PATH"]


def log_config(log_file: Path, level: str) -> dict[str, Any]:
    """Logs to standard error, and errors also to a file: only there is the reason why the engine's process failed."""
    formatter = JsonFormatter if logs_json() else TextFormatter
    own = {"()": f"{formatter.__module__}.{formatter.__name__}"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": own, "line": {"format": TEXT_FORM}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "own"},
            "file": {
                "class": "logging.FileHandler",
                "filename": str(log_file),
                "formatter": "line",
                "level": "ERROR",
                "delay": True,
            },
        },
        "loggers": {"vllm": {"handlers": ["stderr", "file"], "level": level, "propagate": False}},
    }


def prepare_cpu(environ: MutableMapping[str, str], arguments: Mapping[str, Any]) -> None:
    """Call this before an engine starts on CPUs."""
    ranks = world_size(arguments)
    if (os.cpu_count() or 1) <= _FEW_CORES:  # otherwise vLLM leaves one of so few idle
        environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", thread_binding(sorted(os.sched_getaffinity(0)), ranks))
    if ranks == 1:
        environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # one process fewer, ready seconds sooner
    if arguments.get("enforce_eager"):
        environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # otherwise the first request for logprobs calls a C++ compiler


def world_size(arguments: Mapping[str, Any]) -> int:
    """The number of processes that compute together."""
    sizes = [arguments.get(f"{kind}_parallel_size") or 1 for kind in ("tensor", "pipeline", "data")]
    return int(sizes[0] * sizes[1] * sizes[2])


def thread_binding(cpus: list[int], ranks: int) -> str:
    """An equal share of the CPUs for each rank; no binding if there are too few."""
    each = len(cpus) // ranks
    return "|".join(cpu_list(cpus[rank * each : (rank + 1) * each]) for rank in range(ranks)) if each else "nobind"


def cpu_list(cpus: list[int]) -> str:
    """`0,1,2,5` as `0-2,5`."""
    ranges: list[list[int]] = []
    for cpu in cpus:
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def cpu_cache_bytes(environ: Mapping[str, str], arguments: Mapping[str, Any], available: int | None) -> int | None:
    """The size of the KV cache if none was given: vLLM's own default asks for more than is free.

    None: it was given, or the free memory is unknown.
    """
    named = arguments.get("kv_cache_memory_bytes") is not None or arguments.get("gpu_memory_utilization") is not None
    if named or environ.get("VLLM_CPU_KVCACHE_SPACE") or available is None:
        return None
    return default_cache_bytes(available)
