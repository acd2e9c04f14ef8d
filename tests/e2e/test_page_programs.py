"""The page's client programs, run as they are: only the import and the models' names are ours.

They ask 127.0.0.1:8000, the default of the SDK and of the server, so that port must be free.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.developer_mode import run_in_developer_mode
from tests.support.serving import ROOT

PROGRAMS = Path(__file__).parent / "page"


def _port_is_free() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", 8000)) != 0


@contextmanager
def served(*options: str) -> Iterator[None]:
    if not _port_is_free():
        pytest.skip("port 8000, which the page's programs ask, is taken by another program")
    command = [sys.executable, "-m", "mock_server", "--port", "8000", "--profile", "instant", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith("ready ")
            yield
        finally:
            server.terminate()


def run(program: str) -> dict[str, list[str]]:
    """What a program printed, by the word before the colon. Warnings are errors, and it must not leave any behind."""
    ended = run_in_developer_mode("-W", "error", str(PROGRAMS / program), timeout_s=50)
    assert (ended.returncode, ended.stderr) == (0, "")
    said: dict[str, list[str]] = {}
    for line in ended.stdout.splitlines():
        name, colon, rest = line.partition(": ")
        if colon:
            said.setdefault(name, []).append(rest)
    return said


@pytest.mark.parametrize("program", ["sync_client.py", "openai_client.py"])
def test_a_chat_model(program: str) -> None:
    with served("--served-model-name", "qwen-7b-chat"):
        said = run(program)
    assert said["model_type"] == ["qwen-7b-chat"]
    first, second = said["response"]
    assert first
    assert second
    assert "None" not in second


def test_a_chat_model_asked_from_asyncio() -> None:
    with served("--served-model-name", "qwen-7b-chat"):
        said = run("async_client.py")
    assert len(said["response"]) == 5
    assert len(set(said["response"])) == 1, "the same seed gives the same answer, also five at a time"
    assert said["streamed"][0]


def test_a_base_model() -> None:
    with served("--served-model-name", "qwen-7b", "--no-chat"):
        said = run("base_model.py")
    assert said["model_type"] == ["qwen-7b"]
    whole, streamed, streamed_async = said["response"]
    assert whole == streamed == streamed_async
