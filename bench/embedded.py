"""The server that the bench starts for itself: a process of its own, on cores of its own where there are several."""

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

READY_LIMIT_S = 30.0
STOP_LIMIT_S = 5.0

_READY = re.compile(r"ready (?P<url>http://\S+) model=(?P<models>\S+) engine=\S+ profile=(?P<profile>\S+)")


_WRONG_USE = 2  # the server's exit code for options it does not take


class EmbeddedServerError(Exception):
    """The embedded server did not start; the message holds the end of its log, or what is wrong with an option."""

    def __init__(self, message: str, *, wrong_use: bool = False) -> None:
        super().__init__(message)
        self.wrong_use = wrong_use


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that is ready."""

    url: str
    profile: str
    process: asyncio.subprocess.Process
    log: IO[bytes]

    def last_words(self) -> str:
        """The end of its log, indented, or nothing where it said nothing."""
        return _log_end(self.log)


@contextlib.asynccontextmanager
async def embedded_server(profile: str | None, seed: int) -> AsyncIterator[EmbeddedServer]:
    """Start the simulated server on a free port, and stop it at the end, whatever happens in between.

    It also ends by itself when this process does: it watches the pipe that is its standard input. A session of its
    own keeps the terminal's Ctrl-C from it. Raises EmbeddedServerError.
    """
    command = [sys.executable, "-m", "mock_server", "--port", "0", "--until-stdin-closes", "--seed", str(seed)]
    if profile is not None:
        command += ["--profile", profile]
    with tempfile.TemporaryFile() as log, _own_cores() as server_cores:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            if server_cores:
                os.sched_setaffinity(process.pid, server_cores)
            yield await _wait_until_ready(process, log)
        finally:
            await _stop(process)


async def _wait_until_ready(process: asyncio.subprocess.Process, log: IO[bytes]) -> EmbeddedServer:
    if process.stdout is None:
        raise EmbeddedServerError("the embedded server has no standard output")
    line = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_LIMIT_S):
            line = await process.stdout.readline()
    found = _READY.match(line.decode("utf-8", "replace"))
    if found is not None:
        return EmbeddedServer(found["url"], found["profile"], process, log)
    if line:
        raise EmbeddedServerError(f"the embedded server said {line!r} where its ready line was due")
    if process.stdout.at_eof():
        status = await process.wait()
        if status == _WRONG_USE:
            raise EmbeddedServerError(f"the embedded server refuses: {_last_words(log)}", wrong_use=True)
        raise EmbeddedServerError(f"the embedded server ended at once (exit {status}):\n{_log_end(log)}")
    raise EmbeddedServerError(f"the embedded server was not ready within {READY_LIMIT_S:g} s:\n{_log_end(log)}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close its input, which ends it; then ask; then insist."""
    if process.stdin is not None:
        process.stdin.close()
    for insist in (None, signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None and insist is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(insist)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
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
def _own_cores() -> Iterator[set[int]]:
    """Keep one core for this process and name the others for the server; no cores where there is only one."""
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
