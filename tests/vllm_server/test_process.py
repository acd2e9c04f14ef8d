"""The server over vLLM as a process: what it refuses to start with, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.server.wire import error_of, post, wait_until_running
from tests.support.real_models import PYTHON, ROOT, VLLM_ENVIRONMENT, tiny_model
from tests.support.serving import ServerProcess, server_process
from tests.vllm_server.conftest import CPU

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="session")
def tiny() -> Path:
    return tiny_model()


def run(*args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The server where it should end by itself."""
    return subprocess.run(
        [str(PYTHON), "-m", "mock_server", "deploy", *args], cwd=ROOT, capture_output=True, text=True, timeout=300,
        stdin=subprocess.DEVNULL, env={**os.environ, **VLLM_ENVIRONMENT, **(env or {})},
    )  # fmt: skip


def refusal(*args: str, code: int = 1, env: dict[str, str] | None = None) -> str:
    """The last line of a server that does not start, and that line alone on the terminal's last lines."""
    ended = run(*args, "--port", "0", env=env)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert "Error: " in ended.stderr
    return " ".join(ended.stderr[ended.stderr.rindex("Error: ") :].split())


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    said = refusal("--model", str(tmp_path), code=2)
    problem = "has no config.json: it does not contain a model in Hugging Face's format"
    assert said == f"Error: --model-id-or-path {tmp_path} {problem}"


def test_a_folder_that_is_not_there() -> None:
    assert refusal("--ckpt_dir", "/nowhere", code=2) == "Error: --ckpt-dir /nowhere: there is no such folder"
    said = refusal("--model", "/nowhere/at/all", code=2)
    assert (
        said
        == "Error: --model-id-or-path /nowhere/at/all: there is no such folder, and it is not a hub id (owner/name)"
    )


def test_a_model_that_the_hub_would_have() -> None:
    said = refusal("--model_type", "qwen-7b-chat", env={"HF_HUB_OFFLINE": "1", "HF_HOME": "/nowhere"})
    assert said.startswith("Error: vLLM cannot serve Qwen/Qwen-7B-Chat: ")
    assert said.endswith(
        "Name a folder that contains the model with --model-id-or-path, or make sure that the hub is reachable."
    )


def test_a_model_that_vllm_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "nonsense", "architectures": ["Nonsense"]}')
    said = refusal("--model", str(tmp_path), *CPU)
    assert said.startswith(f"Error: vLLM cannot serve {tmp_path}: ")
    assert "model type `nonsense`" in said


def test_an_adapter_of_another_base(adapters: Path, tiny: Path) -> None:
    said = refusal("--model", str(tiny / "model"), "--lora-modules", f"a={adapters / 'tuned'}", *CPU)
    assert said.startswith("Error: adapter a belongs to another base model: its model.layers.")
    assert "has no such module. It says that it was trained on" in said


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ("--max-lora-rank", "1"),
            "adapter a has rank 8, and the engine takes at most 1: start it with --max-lora-rank 8",
        ),
        (("--max-lora-rank", "7"), "--max-lora-rank must be one of 1, 8, 16, 32, 64, 128, 256, 320, 512 (got 7)"),
        (("--enable-lora", "false"), "adapters are named, and --enable-lora is false"),
        (("--served-model-name", "a"), "the name 'a' is given twice; each model and adapter needs its own"),
    ],
)
def test_adapters_that_do_not_fit_the_options(tiny: Path, args: tuple[str, ...], says: str) -> None:
    named = ("--model", str(tiny / "model"), "--lora-modules", f"a={tiny / 'one'}")
    code = 2 if "(got 7)" in says or "twice" in says else 1
    assert says in refusal(*named, *args, code=code)


def test_a_name_given_twice(tiny: Path) -> None:
    said = refusal("--model", str(tiny / "model"), "--lora-modules", f"a={tiny / 'one'}", f"a={tiny / 'two'}", code=2)
    assert "the name 'a' is given twice" in said


def test_a_cache_too_small_for_the_context(tiny: Path) -> None:
    said = refusal("--model", str(tiny / "model"), *CPU, "--max-model-len", "8192", "--kv-cache-memory-bytes", "1M")
    assert "KV cache is needed" in said
    assert said.endswith("with --kv-cache-memory-bytes or --gpu-memory-utilization, or lower --max-model-len.")


def test_a_cache_larger_than_the_memory(tiny: Path) -> None:
    said = refusal("--model", str(tiny / "model"), *CPU, "--kv-cache-memory-bytes", "9000G")
    assert "less than requested memory" in said
    assert "Ask for less, such as --kv-cache-memory-bytes 1G" in said


def test_an_argument_that_vllm_does_not_have(tiny: Path) -> None:
    said = refusal("--model", str(tiny / "model"), *CPU, "--engine-args", '{"enforce_eagre": true}')
    assert said.endswith("has no engine argument 'enforce_eagre'. Did you mean enforce_eager?")


def test_a_port_that_is_taken(tiny: Path) -> None:
    """Before anything is loaded."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run("--model", str(tiny / "model"), "--port", port)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == (
        f"Error: port {port} on 127.0.0.1 is taken: choose another with --port, or --port 0 for a free one"
    )
    assert "vllm" not in ended.stderr.partition("Error")[0]


def tiny_server(tiny: Path, *args: str) -> contextlib.AbstractContextManager[ServerProcess]:
    command = ("--model", str(tiny / "model"), "--dtype", "fp32", "--enforce-eager", "--max-model-len", "8192")
    return server_process(*command, "--kv-cache-memory-bytes", "256M", *args, env=VLLM_ENVIRONMENT, python=PYTHON)


def children(pid: int) -> list[int]:
    ended = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in ended.stdout.split()]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pids: list[int], limit_s: float = 30) -> None:
    give_up_at = time.monotonic() + limit_s
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < give_up_at, f"still running: {[pid for pid in pids if is_running(pid)]}"


BODY = {"messages": [{"role": "user", "content": "Tell me a story."}], "ignore_eos": True}


def test_streams_under_way_finish_after_sigterm_and_new_requests_are_refused(tiny: Path) -> None:
    with (
        tiny_server(tiny, "--shutdown-timeout", "60") as server,
        httpx.Client(base_url=server.root, timeout=60) as http,
    ):
        engine = children(server.process.pid)
        body = {**BODY, "max_tokens": 300, "stream": True, "stream_options": {"include_usage": True}}
        with http.stream("POST", "/v1/chat/completions", json=body) as stream:
            lines = stream.iter_lines()
            next(lines)
            server.process.terminate()
            wait_until_refusing(server)
            refused = httpx.post(f"{server.url}/chat/completions", json={**BODY, "max_tokens": 1})
            assert error_of(refused, 503)["code"] == "shutting_down"
            assert refused.headers["retry-after"] == "1"
            *_, usage, _, done, _ = lines
        assert done == "data: [DONE]"
        assert json.loads(usage.removeprefix("data: "))["usage"]["completion_tokens"] == 300
        assert server.process.wait(60) == 0
        wait_until_gone(engine)


def wait_until_refusing(server: ServerProcess) -> None:
    give_up_at = time.monotonic() + 30
    while httpx.get(f"{server.root}/health").status_code != 503:
        assert time.monotonic() < give_up_at


def test_what_outlasts_its_time_ends_with_an_error_event(tiny: Path) -> None:
    with (
        tiny_server(tiny, "--shutdown-timeout", "0.2") as server,
        httpx.Client(base_url=server.root, timeout=60) as http,
    ):
        body = {**BODY, "max_tokens": 8000, "stream": True}
        with http.stream("POST", "/v1/chat/completions", json=body) as stream:
            lines = stream.iter_lines()
            next(lines)
            server.process.terminate()
            *_, error, _, done, _ = lines
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == "shutting_down"
        assert done == "data: [DONE]"
        assert server.process.wait(60) == 0


def test_an_engine_that_dies_is_a_503_and_the_end(tiny: Path) -> None:
    long = {**BODY, "max_tokens": 8000}
    with tiny_server(tiny) as server, httpx.Client(base_url=server.root, timeout=60) as http:
        (engine,) = [pid for pid in children(server.process.pid) if is_engine(pid)]
        with (
            post(server.root, long) as whole,
            http.stream("POST", "/v1/chat/completions", json={**long, "stream": True}) as stream,
        ):
            lines = stream.iter_lines()
            next(lines)
            wait_until_running(http, 2)
            os.kill(engine, signal.SIGKILL)
            *_, error, _, done, _ = lines
            answer = b""
            while data := whole.recv(65536):
                answer += data
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == "engine_unavailable"
        assert done == "data: [DONE]"
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"engine_unavailable" in answer
        assert server.process.wait(60) == 1


def is_engine(pid: int) -> bool:
    return "EngineCore" in Path(f"/proc/{pid}/cmdline").read_text()


@contextlib.contextmanager
def loading(tiny: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server whose engine's process has begun to load, and has not finished."""
    process = subprocess.Popen(
        [str(PYTHON), "-m", "mock_server", "--model", str(tiny / "model"), *CPU, "--port", "0"], cwd=ROOT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **VLLM_ENVIRONMENT},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "after"), [(signal.SIGTERM, "import"), (signal.SIGTERM, "engine"), (signal.SIGINT, "engine")]
)
def test_a_signal_while_loading_ends_it_cleanly(tiny: Path, number: signal.Signals, after: str) -> None:
    with loading(tiny) as process:
        give_up_at = time.monotonic() + 120
        while not (children(process.pid) if after == "engine" else imports_torch(process.pid)):
            assert process.poll() is None
            assert time.monotonic() < give_up_at
        begun = children(process.pid)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout) == (0, b""), stderr.decode()
        assert b"Traceback" not in stderr
        wait_until_gone(begun)


def imports_torch(pid: int) -> bool:
    return "libtorch" in Path(f"/proc/{pid}/maps").read_text()


def test_native_becomes_vllm_serve(tiny: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    command = (
        "deploy", "--engine", "native", "--model", str(tiny / "model"), "--served-model-name", "tiny",
        "--port", str(port), *CPU, "--lora-modules", f"one={tiny / 'one'}", "--max-lora-rank", "8", "--max-loras", "2",
    )  # fmt: skip
    process = subprocess.Popen(
        [str(PYTHON), "-m", "mock_server", *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env={**os.environ, **VLLM_ENVIRONMENT, "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TORCHDYNAMO_DISABLE": "1"},
        start_new_session=True,
    )  # fmt: skip
    try:
        give_up_at = time.monotonic() + 240
        while not answers(port):
            assert process.poll() is None
            assert time.monotonic() < give_up_at
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        cards = httpx.get(f"http://127.0.0.1:{port}/v1/models").json()["data"]
        assert [(card["id"], card["owned_by"]) for card in cards] == [("tiny", "vllm"), ("one", "vllm")]
        assert "vllm" in Path(f"/proc/{process.pid}/cmdline").read_text()  # the same process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_name_for_everything_that_is_not_there(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny / "one", broken)
    (broken / "adapter_config.json").write_text("{")
    assert "adapter_config.json is not valid JSON" in refusal("--ckpt_dir", str(broken), code=2)
    named = ("--model", str(tiny / "model"), "--lora-modules", "a=/nowhere")
    assert "adapter a: /nowhere does not exist" in refusal(*named)


def test_an_adapter_with_a_type_is_served_on_its_own_base_and_every_line_of_a_json_log_is_an_object(
    tiny: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    options = ["--ckpt-dir", str(tiny / "one"), "--model-type", "smollm2-135m-instruct", "--log-format", "json"]
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(PYTHON), "-m", "mock_server", *options, *CPU, "--port", "0"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, text=True,
            env={**os.environ, **VLLM_ENVIRONMENT},
        )  # fmt: skip
    with process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())["message"]
        assert " model=smollm2-135m-instruct,default-lora engine=vllm " in ready
        base, adapter = httpx.get(f"{ready.split()[1]}/models").json()["data"]
        assert (base["root"], base["is_chat"]) == ("model", True)
        assert (adapter["root"], adapter["parent"]) == ("one", "smollm2-135m-instruct")
        process.terminate()
        assert process.wait(60) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["logger"].partition(".")[0] for line in lines} >= {"mock_server", "vllm"}
    assert not [line for line in lines if "Loading safetensors" in line["message"]]
