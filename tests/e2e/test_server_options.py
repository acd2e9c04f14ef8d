"""Options of the process itself: addresses, keys, a configuration file, the form of the log."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.serving import ROOT

KEY = "s3cret-key"
ASKED = {"prompt": "Once", "max_tokens": 3, "seed": 1}


@dataclass(frozen=True)
class Started:
    """A server process, ready; its log can be read when it has ended."""

    process: subprocess.Popen[str]
    ready_line: str
    log: Path

    @property
    def url(self) -> str:
        return self.ready_line.split()[1]

    def end(self) -> str:
        """The log, after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        return self.log.read_text()


@contextlib.contextmanager
def started(folder: Path, *args: str, env: Mapping[str, str] | None = None) -> Iterator[Started]:
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "mock_server", "--profile", "instant", *args],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, text=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline().rstrip("\n")
        assert line, log.read_text()
        yield Started(process, line, log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_on_every_interface_the_ready_line_has_an_address_that_answers(tmp_path: Path) -> None:
    with started(tmp_path, "--host", "0.0.0.0", "--port", "0") as server:
        assert httpx.get(f"{server.url}/models").status_code == 200
        port = httpx.URL(server.url).port
        assert server.ready_line.endswith(f" listening=0.0.0.0:{port}")
        assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 200
        assert f"listening on every interface of this machine (0.0.0.0:{port})" in server.end()


def test_a_unix_socket_answers_and_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with started(tmp_path, "--uds", str(path), env={"FORCE_COLOR": "1", "TERM": "xterm-256color"}) as server:
        assert server.url == f"unix:{path}"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost/v1") as http:
            assert http.post("/completions", json=ASKED).json()["usage"]["completion_tokens"] == 3
            assert http.post("/completions", json={**ASKED, "stream": True}).text.endswith("data: [DONE]\n\n")
        assert server.end() == ""
    assert not path.exists()


def test_keys_of_the_environment_are_in_no_list_of_processes_and_no_log(tmp_path: Path) -> None:
    args = ("--port", "0", "--verbose")
    with started(tmp_path, *args, env={"STREAMGAUGE_API_KEY": KEY}) as server:
        assert KEY not in Path(f"/proc/{server.process.pid}/cmdline").read_text()
        assert httpx.get(f"{server.url}/models").status_code == 401
        for key, status in ((KEY, 200), ("wrong", 401)):
            headers = {"authorization": f"Bearer {key}"}
            assert httpx.post(f"{server.url}/completions", json=ASKED, headers=headers).status_code == status
        log = server.end()
    assert KEY not in log
    assert "completion_tokens=3" in log


def test_a_configuration_file_makes_a_server(tmp_path: Path) -> None:
    file, keys = tmp_path / "server.yaml", tmp_path / "keys"
    file.write_text(
        "port: 0\nserved_model_name: [small]\nlora-modules: [tuner=/a]\nroot-path: /llm\nhost: 0.0.0.0\n"
        f"api_key_file: {keys}\n"
    )
    keys.write_text(f"another\n{KEY}\n")
    args = ("--config", str(file), "--host", "[::1]")
    with started(tmp_path, *args, env={"STREAMGAUGE_API_KEY": "unused"}) as server:
        assert server.url.startswith("http://[::1]:")
        assert " model=small,tuner " in server.ready_line
        address = server.url.replace("/v1", "/llm/v1/models/tuner")
        for key, status in ((KEY, 200), ("another", 200), ("unused", 401)):
            assert httpx.get(address, headers={"authorization": f"Bearer {key}"}).status_code == status


def test_every_line_of_a_json_log_is_an_object(tmp_path: Path) -> None:
    args = ("--log-format", "json", "--host", "0.0.0.0", "--port", "0", "--verbose", "--log-interval", "0.01")
    with started(tmp_path, *args) as server:
        ready = json.loads(server.ready_line)
        assert (ready["level"], ready["message"].split()[0]) == ("INFO", "ready")
        url = ready["message"].split()[1]
        httpx.post(f"{url}/completions", json=ASKED, headers={"x-request-id": "my-id"})
        while "num_samples" not in server.log.read_text():
            pass
        lines = [json.loads(line) for line in server.end().splitlines()]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    (request,) = [line for line in lines if "completion_tokens=3" in line["message"]]
    assert request["request_id"] == "my-id"
    assert all("request_id" not in line for line in lines if "num_samples" in line["message"])


def test_defects_and_warnings_are_objects_in_a_json_log(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(program)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().split()[1]
        headers = {"x-request-id": "my-id"}
        assert httpx.post(f"{url}/completions", json=ASKED, headers=headers).status_code == 500
        process.send_signal(signal.SIGTERM)
        lines: list[dict[str, Any]] = [json.loads(line) for line in process.stderr.read().splitlines()]
    defect = next(line for line in lines if line["logger"].startswith("uvicorn"))
    assert defect["request_id"] == "my-id"
    assert defect["exception"].endswith("ZeroDivisionError: a defect")
    assert [line["logger"] for line in lines if "deprecated" in line["message"]] == ["py.warnings"]
    critical = [line["message"] for line in lines if line["level"] == "CRITICAL"]
    assert critical == ["a thread failed", "the server failed"]


PROGRAM = """
import threading, warnings
from mock_server.engine.sim.simulated import SimulatedEngine
from mock_server.process.listener import Listener
from mock_server.logs.output import configure_log
from mock_server.process.serve import serve
from mock_server.settings import ServerSettings
from tests.support.serving import simulated_engine

configure_log("json")
warnings.warn("deprecated")


async def generate(*args, **kwargs):
    raise ZeroDivisionError("a defect")


engine = simulated_engine()
engine.generate = generate
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
serve(engine, ServerSettings(), Listener.bind("127.0.0.1", 0))
raise RuntimeError("at the end")
"""
