"""The simulated server as a process, for the programs of packages that know nothing of this project."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"  # these tests run in an environment without the server
STOP_LIMIT_S = 30.0

MODEL = "sim-chat"
SMALL_CONTEXT = 512

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false"}  # or they would ask the network


@contextlib.contextmanager
def simulated_server(*options: str) -> Iterator[str]:
    """`python -m mock_server` on a free port; yields the address that clients are given as their base URL."""
    process = subprocess.Popen(
        [PYTHON, "-m", "mock_server", "--profile", "instant", "--port", "0", "--until-stdin-closes", *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = process.stdout.readline().split()
        assert ready[:1] == ["ready"], f"the server ended with {process.wait()} instead of being ready"
        yield ready[1]
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    with simulated_server() as url:
        yield url


@pytest.fixture(scope="session")
def small_base_url() -> Iterator[str]:
    """A model whose context is soon full."""
    with simulated_server("--max-model-len", str(SMALL_CONTEXT), "--served-model-name", "sim-small") as url:
        yield url


@pytest.fixture(scope="session")
def locked_base_url() -> Iterator[str]:
    """A server that wants the key `right`."""
    with simulated_server("--api-key", "right") as url:
        yield url
