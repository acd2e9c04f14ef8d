"""The embedded server: a separate process that the bench starts, on separate cores if there are several."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import IO

READY_LIMIT_S = 90.0  # it takes half a second, but a disk may be slow
MODEL_READY_LIMIT_S = 1800.0  # a real model may have to be downloaded, loaded and compiled
STOP_LIMIT_S = 5.0
MODEL_STOP_LIMIT_S = 30.0
SIMULATED = ("sim", "scripted")

_READY = re.compile(r"ready (?P<url>http://\S+) model=(?P<models>\S+) engine=\S+ profile=(?P<profile>\S+)")


_SERVER_KEY = "STREAMGAUGE_API_KEY"  # meant for the user's own server; only the bench uses this one
_WRONG_USE = 2  # the server's exit code for invalid options


class EmbeddedServerError(Exception):
    """The embedded server did not start. The message holds the end of its log, or the error about an option."""

    def __init__(self, message: str, *, wrong_use: bool = False) -> None:
        super().__init__(message)
        self.wrong_use = wrong_use


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """Which server to start, as far as the user said: options of `python -m mock_server`.

    `model` names a real model, as an option and its value; `more` are further options as typed.
    """

    engine: str | None = None
    profile: str | None = None
    model: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def is_real(self) -> bool:
        return bool(self.model) and self.engine not in SIMULATED

    def arguments(self) -> list[str]:
        engine = () if self.engine is None else ("--engine", self.engine)
        profile = () if self.profile is None else ("--profile", self.profile)
        return [*engine, *profile, *self.model, *self.more]


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that is ready."""

    url: str
    profile: str
    process: asyncio.subprocess.Process
    log: IO[bytes]

    def last_words(self) -> str:
        """The end of its log, indented; empty if the log is empty."""
        return _log_end(self.log)


@contextlib.asynccontextmanager
async def embedded_server(choice: ServerChoice, seed: int) -> AsyncIterator[EmbeddedServer]:
    """Start a server on a free port, and stop it at the end, whatever happens in between.

    The server also ends when this process does, because it watches the pipe that is its standard input. It runs in its
    own session, so that Ctrl-C in the terminal does not reach it. Raises EmbeddedServerError.
    """
    command = [sys.executable, "-m", "mock_server", "--port", "0", "--until-stdin-closes", "--seed", str(seed)]
    command += choice.arguments()
    # a real model may run on the CPU, so it gets all cores
    cores = contextlib.nullcontext(set[int]()) if choice.is_real else own_cores()
    with tempfile.TemporaryFile() as log, cores as server_cores:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={name: value for name, value in os.environ.items() if name != _SERVER_KEY},
            start_new_session=True,
        )
        try:
            if server_cores:
                os.sched_setaffinity(process.pid, server_cores)
            yield await _wait_until_ready(process, log, MODEL_READY_LIMIT_S if choice.is_real else READY_LIMIT_S)
        finally:
            await stop_process(process, MODEL_STOP_LIMIT_S if choice.is_real else STOP_LIMIT_S)


async def _wait_until_ready(process: asyncio.subprocess.Process, log: IO[bytes], limit_s: float) -> EmbeddedServer:
    if process.stdout is None:
        raise EmbeddedServerError("the embedded server has no standard output")
    line = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            line = await process.stdout.readline()
    found = _READY.match(line.decode("utf-8", "replace"))
    if found is not None:
        return EmbeddedServer(found["url"], found["profile"], process, log)
    if line:
        raise EmbeddedServerError(f"the embedded server printed {line!r} instead of its ready line")
    if process.stdout.at_eof():
        status = await process.wait()
        if status == _WRONG_USE:
            raise EmbeddedServerError(f"the embedded server reports: {_last_words(log)}", wrong_use=True)
        said = _log_end(log)
        if "\n" not in said and said.strip().lower().startswith("error: "):
            raise EmbeddedServerError(f"the embedded server did not start: {_last_words(log)}")
        raise EmbeddedServerError(f"the embedded server ended while it started (exit code {status}):\n{said}")
    raise EmbeddedServerError(f"the embedded server was not ready within {limit_s:g} s:\n{_log_end(log)}")


async def stop_process(process: asyncio.subprocess.Process, limit_s: float = STOP_LIMIT_S) -> None:
    """Close its input, which ends it; else terminate it; else kill it and all processes that it has started."""
    if process.stdin is not None:
        process.stdin.close()
    for insist in (None, signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None and insist is not None:
            with contextlib.suppress(ProcessLookupError):
                if insist is signal.SIGKILL:
                    os.killpg(process.pid, insist)
                else:
                    process.send_signal(insist)
        try:
            async with asyncio.timeout(limit_s):
                await process.wait()
        except TimeoutError:
            continue
        return


def _last_words(log: IO[bytes]) -> str:
    return _log_end(log, 1).strip().removeprefix("error: ").removeprefix("Error: ")


def _log_end(log: IO[bytes], lines: int = 8) -> str:
    log.seek(0)
    text = log.read().decode("utf-8", "replace").rstrip()
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


@contextlib.contextmanager
def own_cores() -> Iterator[set[int]]:
    """Reserve one core for this process. Yields the others, for the server; none if there is only one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield set()
        return
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        yield set()
        return
    client = {max(allowed)}
    os.sched_setaffinity(0, client)
    try:
        yield allowed - client
    finally:
        os.sched_setaffinity(0, allowed)
