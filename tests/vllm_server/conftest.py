"""This project's server over a real vLLM: the small chat model with an adapter that knows its name, and another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.real_models import BASE, PYTHON, VLLM_ENVIRONMENT, small_adapters
from tests.support.serving import ServerProcess, server_process

CPU = ("--dtype", "fp32", "--enforce-eager", "--max-model-len", "2048", "--kv-cache-memory-bytes", "512M")
"""float32: in bfloat16 the same request may be answered otherwise beside others than alone."""


@pytest.fixture(scope="session")
def adapters() -> Path:
    return small_adapters()


@pytest.fixture(scope="session")
def server(adapters: Path) -> Iterator[ServerProcess]:
    """As the page starts it: the checkpoint of an adapter, served as `default-lora` on its base."""
    command = (
        "deploy", "--ckpt_dir", str(adapters / "tuned"), "--infer_backend", "vllm", "--vllm_enable_lora", "true",
        "--lora_modules", f"my_tuner={adapters / 'random'}", "--vllm_max_lora_rank", "8", "--max-loras", "3",
        "--runtime-lora", *CPU,
    )  # fmt: skip
    with server_process(*command, env=VLLM_ENVIRONMENT, python=PYTHON) as running:
        yield running


@pytest.fixture(scope="session")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.root, timeout=300) as client:
        yield client


@pytest.fixture(scope="session")
def base_name() -> str:
    return BASE.name
