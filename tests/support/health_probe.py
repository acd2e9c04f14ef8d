"""Measures how long another client waits for /health, by asking repeatedly from a separate process."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # this file is a program, too, which must start quickly
    from tests.support.serving import ServerProcess

_PAUSE_S = 0.005
_REQUEST = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"


@dataclass
class Waits:
    """Filled in when the probing ends."""

    worst_s: float = 0.0
    count: int = 0


@contextlib.contextmanager
def probing(server: ServerProcess) -> Iterator[Waits]:
    """Asks until the block ends."""
    port = server.root.rpartition(":")[2]
    process = subprocess.Popen(
        [sys.executable, __file__, port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    waits = Waits()
    try:
        if process.stdout.readline() != "asking\n":
            raise RuntimeError("the probe did not start")
        yield waits
    finally:
        process.stdin.close()
        found = process.stdout.read()
        process.stdout.close()
        process.wait(30)
    waits.worst_s, waits.count = json.loads(found)


class MemoryPeak:
    """The most memory that a process has held since this was made."""

    def __init__(self, server: ServerProcess) -> None:
        self._folder = Path(f"/proc/{server.process.pid}")
        (self._folder / "clear_refs").write_text("5")

    @property
    def megabytes(self) -> int:
        (line,) = re.findall(r"VmHWM:\s+(\d+)", (self._folder / "status").read_text())
        return int(line) // 1024


def _ask(port: int) -> float:
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(_REQUEST)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"/health answered {answer[:200]!r}")
    return time.perf_counter() - began


def _probe(port: int) -> None:
    _ask(port)
    print("asking", flush=True)
    worst_s, count = _ask(port), 1
    while not select.select([sys.stdin], [], [], _PAUSE_S)[0]:
        worst_s = max(worst_s, _ask(port))
        count += 1
    print(json.dumps([worst_s, count]), flush=True)


if __name__ == "__main__":
    _probe(int(sys.argv[1]))
