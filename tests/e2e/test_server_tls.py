"""The server over TLS, as a process with files in PEM form."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.support.certificates import certificate_files, client_context
from tests.support.serving import ROOT, ServerProcess, server_process

ASKED = {"messages": [{"role": "user", "content": "Where is West Lake?"}], "seed": 7, "max_tokens": 20}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(files: tuple[Path, Path]) -> Iterator[ServerProcess]:
    certificate, key = files
    with server_process(
        "--profile", "instant", "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)
    ) as served:
        yield served


def test_the_ready_line_tells_the_scheme(server: ServerProcess) -> None:
    assert server.ready_line.startswith("ready https://127.0.0.1:")


def test_answers_and_streams_arrive(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url, verify=client_context()) as http:
        whole = http.post("/chat/completions", json=ASKED).json()["choices"][0]["message"]["content"]
        *events, done = http.post("/chat/completions", json={**ASKED, "stream": True}).text.split("\n\n")[:-1]
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in events]
    assert done == "data: [DONE]"
    assert "".join(delta.get("content", "") for delta in deltas) == whole != ""


def test_the_openai_package_streams_over_it(server: ServerProcess) -> None:
    trusting = openai.DefaultHttpxClient(verify=client_context())
    with openai.OpenAI(base_url=server.url, api_key="EMPTY", http_client=trusting) as client:
        asked: Any = {"model": "sim-chat", **ASKED}
        whole = client.chat.completions.create(**asked).choices[0].message.content
        stream = client.chat.completions.create(**asked, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == whole


def test_who_trusts_nobody_and_who_speaks_plainly_get_nothing(server: ServerProcess) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.url}/models")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{server.url}/models".replace("https", "http"))
    assert httpx.get(f"{server.root}/ready", verify=client_context()).status_code == 200


def test_a_key_of_another_is_wrong_use(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, _ = files
    _, another = certificate_files(tmp_path)
    command = [sys.executable, "-m", "mock_server", "--port", "0", "--ssl-certfile", str(certificate)]
    result = subprocess.run(
        [*command, "--ssl-keyfile", str(another)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.rstrip().endswith(f"is not the key of --ssl-certfile {certificate}")
