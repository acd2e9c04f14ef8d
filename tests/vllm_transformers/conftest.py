"""This project's server over transformers: the small chat model with an adapter that knows its name, and another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.real_models import PYTHON, VLLM_ENVIRONMENT, small_adapters
from tests.support.serving import ServerProcess, server_process


@pytest.fixture(scope="session")
def adapters() -> Path:
    return small_adapters()


@pytest.fixture(scope="session")
def server(adapters: Path) -> Iterator[ServerProcess]:
    """As the page starts it: the checkpoint of an adapter, served as `default-lora` on its base, and another one."""
    command = (
        "deploy", "--ckpt_dir", str(adapters / "tuned"), "--infer_backend", "pt",
        "--lora_modules", f"my_tuner={adapters / 'random'}", "--runtime-lora",
    )  # fmt: skip
    with server_process(*command, env=VLLM_ENVIRONMENT, python=PYTHON) as running:
        yield running


@pytest.fixture(scope="session")
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.root, timeout=300) as client:
        yield client
