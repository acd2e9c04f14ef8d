"""`vllm serve` on the CPU with the small model, as a process: a server that nobody here wrote."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SERVE = ROOT / "scripts" / "vllm-serve.sh"
MODEL_FOLDER = ROOT / ".cache" / "smollm2"
MODEL = "smollm2-135m"
MAX_MODEL_LEN = 2048

START_LIMIT_S = 240.0  # more than ten times what it takes, and than it takes after an interrupted set-up
STOP_LIMIT_S = 15.0
POLL_S = 0.2
LOG_TAIL_LINES = 40


class VllmStartError(RuntimeError):
    """The server did not become ready; the message ends with the tail of its log."""


@dataclass(frozen=True)
class VllmServer:
    """A `vllm serve` that answers; `url` ends in /v1."""

    port: int
    log: Path

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric of `/metrics` over what has these labels. Raises KeyError for an unknown name."""
        with urllib.request.urlopen(f"{self.root}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        if not found and f"# TYPE {name.removesuffix('_total')}" not in "\n".join(lines):
            raise KeyError(name)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found if all(label in line for label in wanted))

    def wait_for_metric(self, name: str, value: float, *, limit_s: float = 30.0, **labels: str) -> None:
        """Until a metric has a value. Raises TimeoutError."""
        give_up_at = time.monotonic() + limit_s
        while (now := self.metric(name, **labels)) != value:
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{name} is {now} and was to become {value} within {limit_s:g} s")
            time.sleep(POLL_S)


@contextlib.contextmanager
def vllm_server(log: Path, *options: str, model: Path = MODEL_FOLDER) -> Iterator[VllmServer]:
    """Serve a model in float32 until the block ends. Raises VllmStartError.

    Not bfloat16: there the same greedy request answers otherwise beside others than alone.
    """
    with reserved_port() as port, log.open("wb") as output:
        process = subprocess.Popen(
            [str(SERVE), str(model), "--port", str(port), "--dtype", "float32", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the engine is a process of its own: the group is what has to end
        )
        try:
            wait_until_ready(process, port, log)
            yield VllmServer(port, log)
        finally:
            stop(process)


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port that is nobody else's meanwhile: bound here without listening, in the way that lets vLLM bind it too."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until `/health` answers. Raises VllmStartError when the process ends, or after START_LIMIT_S."""
    give_up_at = time.monotonic() + START_LIMIT_S
    while not answers(port):
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise VllmStartError(f"vllm serve ended with {process.wait(POLL_S)}\n{tail(log)}")
        if time.monotonic() > give_up_at:
            raise VllmStartError(f"vllm serve is not ready after {START_LIMIT_S:g} s\n{tail(log)}")


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: politely, then for sure."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with contextlib.suppress(ProcessLookupError):  # the engine, should it outlive its parent
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
