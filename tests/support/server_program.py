"""A server that nobody here wrote, as a process on a loopback port: started, waited for, ended with all it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

START_LIMIT_S = 240.0  # more than ten times what the slowest takes, even after an interrupted set-up
STOP_LIMIT_S = 15.0
POLL_S = 0.2
LOG_TAIL_LINES = 40


class StartError(RuntimeError):
    """The server did not become ready; the message ends with the tail of its log."""


@contextlib.contextmanager
def server_program(
    name: str, command: Callable[[int], Sequence[str]], log: Path, *, env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run the command made for a free port until the block ends; yields that port. Raises StartError.

    The server is ready when its `/health` answers 200. Its output goes to `log`.
    """
    with reserved_port() as port, log.open("wb") as output:
        process = subprocess.Popen(
            command(port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # an engine may be a process of its own: the group is what has to end
        )
        try:
            wait_until_ready(name, process, port, log)
            yield port
        finally:
            stop(process)


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port that is nobody else's meanwhile: bound here without listening, so that the server can still bind it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def wait_until_ready(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until `/health` answers. Raises StartError when the process ends, or after START_LIMIT_S."""
    give_up_at = time.monotonic() + START_LIMIT_S
    while not answers(port):
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise StartError(f"{name} ended with {process.wait(POLL_S)}\n{tail(log)}")
        if time.monotonic() > give_up_at:
            raise StartError(f"{name} is not ready after {START_LIMIT_S:g} s\n{tail(log)}")


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
