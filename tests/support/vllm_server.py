"""`vllm serve` on the CPU with the small model, as a process: a server that nobody here wrote."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.server_program import POLL_S, server_program

ROOT = Path(__file__).parent.parent.parent
SERVE = ROOT / "scripts" / "vllm-serve.sh"
MODEL_FOLDER = ROOT / ".cache" / "smollm2"
MODEL = "smollm2-135m"
MAX_MODEL_LEN = 2048


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
    """Serve a model in float32 until the block ends. Raises StartError.

    Not bfloat16: there the same greedy request answers otherwise beside others than alone.
    """

    def command(port: int) -> list[str]:
        return [str(SERVE), str(model), "--port", str(port), "--dtype", "float32", *options]

    with server_program("vllm serve", command, log) as port:
        yield VllmServer(port, log)
