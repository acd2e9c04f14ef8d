from __future__ import annotations

import json
from pathlib import Path

import pytest

from mock_server.engine.hf.host_memory import available_memory_bytes
from mock_server.engine.vllm.environment import (
    cpu_cache_bytes,
    cpu_list,
    forget,
    prepare,
    prepare_cpu,
    thread_binding,
    world_size,
)

GIB = 1024**3


def test_logs_go_to_standard_error_and_errors_to_a_file_too(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    prepare(environ, tmp_path / "errors")
    assert environ["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"
    config = json.loads(Path(environ["VLLM_LOGGING_CONFIG_PATH"]).read_text())
    assert config["handlers"]["stderr"]["stream"] == "ext://sys.stderr"
    assert config["handlers"]["file"]["filename"] == str(tmp_path / "errors")
    assert config["loggers"]["vllm"]["level"] == "WARNING"
    forget(environ, tmp_path)
    assert "VLLM_LOGGING_CONFIG_PATH" not in environ


def test_variables_of_the_user_stay_unchanged(tmp_path: Path) -> None:
    own = {
        "VLLM_WORKER_MULTIPROC_METHOD": "fork",
        "VLLM_NO_USAGE_STATS": "0",
        "VLLM_LOGGING_CONFIG_PATH": "/etc/vllm-logging.json",
        "VLLM_CPU_OMP_THREADS_BIND": "0",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
        "TORCHDYNAMO_DISABLE": "0",
        "TQDM_DISABLE": "0",
    }
    environ = dict(own)
    prepare(environ, tmp_path / "errors")
    prepare_cpu(environ, {"enforce_eager": True})
    forget(environ, tmp_path)
    assert environ == own


def test_a_cpu_starts_one_process_unless_several_compute_together() -> None:
    alone: dict[str, str] = {}
    prepare_cpu(alone, {})
    assert alone["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert "TORCHDYNAMO_DISABLE" not in alone
    together: dict[str, str] = {}
    prepare_cpu(together, {"tensor_parallel_size": 2, "enforce_eager": True})
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in together
    assert together["TORCHDYNAMO_DISABLE"] == "1"
    assert world_size({"tensor_parallel_size": 2, "pipeline_parallel_size": 3, "data_parallel_size": None}) == 6


@pytest.mark.parametrize(("cpus", "text"), [([0, 1], "0-1"), ([0, 1, 2, 5, 7, 8], "0-2,5,7-8"), ([3], "3"), ([], "")])
def test_cpus_are_listed_as_ranges(cpus: list[int], text: str) -> None:
    assert cpu_list(cpus) == text


@pytest.mark.parametrize(
    ("cpus", "ranks", "text"),
    [([0, 1], 1, "0-1"), ([0, 1], 2, "0|1"), ([0, 1, 4, 5], 2, "0-1|4-5"), ([0, 1, 2], 2, "0|1"), ([0], 2, "nobind")],
)
def test_each_rank_is_bound_to_cpus_of_its_own(cpus: list[int], ranks: int, text: str) -> None:
    assert thread_binding(cpus, ranks) == text


def test_memory_is_read_from_the_kernels_table() -> None:
    assert available_memory_bytes("MemTotal:  100 kB\nMemAvailable:   2048 kB\nBuffers: 1 kB\n") == 2048 * 1024
    assert available_memory_bytes("MemTotal: 100 kB\n") is None


@pytest.mark.parametrize(
    ("environ", "arguments", "available", "expected"),
    [
        ({}, {}, 8 * GIB, 2 * GIB),
        ({}, {}, 100 * GIB, 4 * GIB),
        ({}, {"kv_cache_memory_bytes": 7}, 8 * GIB, None),
        ({}, {"gpu_memory_utilization": 0.5}, 8 * GIB, None),
        ({"VLLM_CPU_KVCACHE_SPACE": "1"}, {}, 8 * GIB, None),
        ({}, {}, None, None),
    ],
)
def test_the_cache_has_a_default_size_unless_the_user_sets_one(
    environ: dict[str, str], arguments: dict[str, float], available: int | None, expected: int | None
) -> None:
    assert cpu_cache_bytes(environ, arguments, available) == expected
