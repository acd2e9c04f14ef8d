"""The server on a real socket: in a thread of this process, or as `python -m mock_server` in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mock_server.app import create_app
from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Engine
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.cost_model import StepCosts
from mock_server.engine.sim.profiles import Profile
from mock_server.engine.sim.scripted import ScriptedEngine, paced_script
from mock_server.engine.sim.simulated import SimulatedEngine
from mock_server.process.http_protocol import HttpProtocol
from mock_server.process.listener import Listener
from mock_server.settings import ServerSettings

ROOT = Path(__file__).parent.parent.parent
START_TIMEOUT_S = 30.0
QUICK = Profile("quick", "a token each fifth of a millisecond", StepCosts(base_s=0.2e-3))


def simulated_engine(
    profile: Profile = QUICK,
    *,
    model: str = "sim-chat",
    max_model_len: int = 32_768,
    image_tokens: int | None = None,
) -> Engine:
    """A simulated engine that is quick, but slow enough to be caught at work."""
    author = Author(Tokenizer(), model)
    return SimulatedEngine(profile, RealClock(), author, max_model_len=max_model_len, image_tokens=image_tokens)


def scripted_engine(
    *,
    ttft_s: float = 1e-3,
    itl_s: float = 0.2e-3,
    model: str = "sim-chat",
    max_model_len: int = 32_768,
    image_tokens: int | None = None,
) -> Engine:
    """An engine whose first token comes after `ttft_s`, and one more each `itl_s`."""
    author = Author(Tokenizer(), model)
    script = paced_script(author, ttft_s=ttft_s, itl_s=itl_s)
    return ScriptedEngine(
        script,
        RealClock(),
        author.tokenizer,
        max_model_len=max_model_len,
        author=author,
        image_tokens=image_tokens,
    )


@dataclass(frozen=True)
class Serving:
    """Where a server answers; `url` ends in /v1."""

    url: str

    @property
    def root(self) -> str:
        """The address without /v1: health, version and tokenize are there."""
        return self.url.removesuffix("/v1")


class _AnnouncingServer(uvicorn.Server):
    """Tells when it answers, or that it never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        self.answers.set()


@contextlib.contextmanager
def serving_app(app: ASGIApp, *, http: type[HttpToolsProtocol] = HttpProtocol) -> Iterator[Serving]:
    """Any ASGI application, until the block ends; by this project's protocol or by uvicorn's own."""
    listener = Listener.bind("127.0.0.1", 0)
    config = uvicorn.Config(app, http=http, ws="none", lifespan="on", log_config=None, timeout_graceful_shutdown=5)
    server = _AnnouncingServer(config)

    def run() -> None:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listener.socket]))

    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    if not server.answers.wait(START_TIMEOUT_S):
        raise TimeoutError("the server did not start")
    try:
        yield Serving(listener.url)
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def serving(
    engine: Engine | None = None,
    settings: ServerSettings | None = None,
    *,
    http: type[HttpToolsProtocol] = HttpProtocol,
) -> Iterator[Serving]:
    """This project's server over an engine (a quick simulated one unless given), until the block ends."""
    with serving_app(create_app(engine or simulated_engine(), settings), http=http) as served:
        yield served


@dataclass(frozen=True)
class ServerProcess(Serving):
    """`python -m mock_server`, ready; `ready_line` is what it printed."""

    process: subprocess.Popen[str]
    ready_line: str


@contextlib.contextmanager
def server_process(
    *args: str,
    env: Mapping[str, str] | None = None,
    python: str | Path = sys.executable,
    log: IO[bytes] | None = None,
    ulimit: str = "",
) -> Iterator[ServerProcess]:
    """The server as a process on a free port, ended with the block. Without `log`, its log goes to this process's.

    `ulimit`: the shell's limits for it, such as "-v 4000000" (kilobytes of address space) or "-n 256" (descriptors).
    """
    address = [] if "--uds" in args else ["--port", "0"]
    limited = ["bash", "-c", f'ulimit {ulimit} && exec "$@"', "limited"] if ulimit else []
    process = subprocess.Popen(
        [*limited, str(python), "-m", "mock_server", *args, *address, "--until-stdin-closes"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, **(env or {})},
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    try:
        ready_line = process.stdout.readline().rstrip("\n")
        if not ready_line.startswith("ready "):
            raise RuntimeError(f"the server ended with {process.wait()} instead of being ready ({ready_line!r})")
        yield ServerProcess(ready_line.split()[1], process, ready_line)
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(START_TIMEOUT_S)
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
