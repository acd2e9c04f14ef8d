"""`python -m mock_server app-ui` as a process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
STOP_LIMIT_S = 20.0


@dataclass(frozen=True)
class PageProcess:
    """A page that is ready."""

    url: str
    ready_line: str
    process: subprocess.Popen[str]

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Sends the signal; returns the exit code and what was printed on standard error."""
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=STOP_LIMIT_S)
        return self.process.returncode, log


@contextlib.contextmanager
def page_process(*args: str) -> Iterator[PageProcess]:
    """On a free port, ended with the block. It must have nothing to complain about."""
    process = start(*args, "--port", "0")
    try:
        assert process.stdout is not None
        line = process.stdout.readline().rstrip("\n")
        if not line.startswith("ready "):
            _, log = process.communicate()
            raise RuntimeError(f"the page ended with {process.returncode}: {line} {log}")
        page = PageProcess(line.split()[1], line, process)
        yield page
        if process.poll() is None:
            code, log = page.end()
            if code or log:
                raise RuntimeError(f"the page ended with {code}: {log}")
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


_WATCHED = """
import sys

def watch(event, values):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = values[1] if event == "socket.connect" else values
        host = address[0] if isinstance(address, tuple) else address
        if host not in (None, "127.0.0.1", "0.0.0.0", "::1", "localhost", "192.0.2.1"):
            print("asks for", host, file=sys.stderr)

sys.addaudithook(watch)
from mock_server.__main__ import main

main()
"""
"""The command, which tells on standard error of any other host that it asks for; 192.0.2.1 is nobody's address."""


def start(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WATCHED, "app-ui", *args],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENAI_BASE_URL": "", "OPENAI_API_KEY": ""},
    )
