"""The server as people and the bench start it: a process, a ready line, an exit code."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.serving import ROOT, ServerProcess, server_process


def get(server: ServerProcess, path: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """The server where it should end by itself."""
    command = [sys.executable, "-m", "mock_server", *args]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
    )


def test_the_ready_line_tells_the_address_and_what_is_served() -> None:
    with server_process("--lora_modules", "my_tuner=/b", "other=/c") as server:
        assert re.fullmatch(
            r"ready http://127\.0\.0\.1:\d+/v1 model=sim-chat,my_tuner,other engine=sim profile=demo",
            server.ready_line,
        )
        status, models = get(server, "/v1/models")
        assert status == 200
        assert [card["id"] for card in models["data"]] == ["sim-chat", "my_tuner", "other"]  # type: ignore[index, attr-defined]


@pytest.mark.parametrize(
    ("args", "ready"),
    [
        (["deploy", "--profile", "instant"], "model=sim-chat engine=sim profile=instant"),
        (["--no_chat"], "model=sim-base engine=sim profile=demo"),
        (["--no-chat", "false", "--served-model-name", "a", "b"], "model=a,b engine=sim profile=demo"),
        (["--engine", "sim", "--model_type", "qwen-7b-chat"], "model=qwen-7b-chat engine=sim profile=demo"),
        (
            ["--engine", "scripted", "--script", "ttft_ms=5,itl_ms=0.5"],
            "model=sim-chat engine=scripted profile=ttft_ms=5,itl_ms=0.5",
        ),
    ],
)
def test_what_is_asked_for_is_what_is_served(args: list[str], ready: str) -> None:
    with server_process(*args) as server:
        assert server.ready_line.endswith(ready)


def test_it_ends_cleanly_when_standard_input_closes() -> None:
    with server_process("--profile", "instant") as server:
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with server_process() as server:
        server.process.send_signal(number)
        assert server.process.wait(30) == 0


def test_a_stream_that_outlasts_its_time_ends_with_an_error_event_at_shutdown() -> None:
    with server_process("--shutdown-timeout", "0.2") as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        body = {"prompt": "a", "stream": True, "max_tokens": 30_000, "ignore_eos": True}
        connection.request("POST", "/v1/completions", json.dumps(body), headers={"content-type": "application/json"})
        response = connection.getresponse()
        assert response.read(6) == b"data: "
        server.process.terminate()
        *_, error, done, rest = response.read().decode().split("\n\n")
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == "shutting_down"
        assert (done, rest) == ("data: [DONE]", "")
        assert server.process.wait(30) == 0
        connection.close()


def test_a_taken_port_is_one_clear_line_and_exit_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("--port", port)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.strip() == (
        f"Error: port {port} on 127.0.0.1 is taken: choose another with --port, or --port 0 for a free one"
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid is not an address of this machine"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1 port 8000"),
    ],
)
def test_an_address_that_is_not_ours_is_exit_1(args: list[str], says: str) -> None:
    result = run(*args)
    assert result.returncode == 1
    assert says in result.stderr


def test_wrong_use_is_exit_2() -> None:
    result = run("--model-type", "qwen-7b-cat")
    assert result.returncode == 2
    assert "Nearest: qwen-7b-chat" in " ".join(result.stderr.split())


def test_requests_and_statistics_are_logged_when_asked_for() -> None:
    command = [sys.executable, "-m", "mock_server", "--port", "0", "--until-stdin-closes"]
    command += ["--profile", "instant", "--verbose", "true", "--log_interval", "0.01"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    server = ServerProcess(process.stdout.readline().split()[1], process, "")
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    body = json.dumps({"prompt": "a", "max_tokens": 3, "ignore_eos": True})
    connection.request("POST", "/v1/completions", body, headers={"content-type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()
    lines = [process.stderr.readline(), process.stderr.readline()]
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()
    process.stderr.close()
    request = next(line for line in lines if "model=sim-chat" in line)
    assert re.search(r"cmpl-\w+ model=sim-chat prompt_tokens=1 completion_tokens=3 elapsed_s=[\d.]+ finished", request)
    statistics = next(line for line in lines if "num_samples" in line)
    assert "'num_prompt_tokens': 1, 'num_generated_tokens': 3, 'num_samples': 1, 'runtime': " in statistics


@pytest.mark.parametrize("script", [True, False])
def test_usage_errors_name_the_command_that_was_used(tmp_path: Path, script: bool) -> None:
    installed = tmp_path / "streamgauge"
    installed.write_text("from streamgauge.console import main\nmain()\n")
    command = [sys.executable, *([str(installed)] if script else ["-m", "mock_server"]), "deploy", "--port", "x"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(f"Usage: {'streamgauge' if script else 'python -m mock_server'} deploy [OPTIONS]\n")
