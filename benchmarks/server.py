"""What the server costs, beside the least that uvicorn can do and FastAPI's own way to stream, all in one run.

    python benchmarks/server.py [--rounds 3] [--only paced]

The server runs on core 0, a raw client on core 1 (it counts events and decodes nothing); sides take turns. Figures are
medians with the spread.

flat out: 64 streams, as fast as they go; tokens (events) a second.
paced:    128 streams at about 40 tokens/s each; CPU time of the server's process a token.
start:    seconds from the command to the first answer, and memory then.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
BARE, FASTAPI = "benchmarks/sides/bare_app.py", "benchmarks/sides/fastapi_app.py"
STREAMS = {"flat": 64, "paced": 128}
FLAT_TOKENS = 4_000
ENDLESS = 30_000
SETTLE_S, WINDOW_S = 2.0, 6.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

SIDES = {
    "ours": {
        "flat": ["-m", "mock_server", "--profile", "instant", "--port", "{port}"],
        # a step of 128 sequences takes 9.5 ms in this profile
        "paced": ["-m", "mock_server", "--profile", "demo", "--time-scale", "0.38", "--port", "{port}"],
    },
    "bare uvicorn app": {
        "flat": [BARE, "{port}", "instant", str(FLAT_TOKENS)],
        "paced": [BARE, "{port}", "paced", str(ENDLESS)],
    },
    "FastAPI StreamingResponse": {
        "flat": [FASTAPI, "{port}", "instant", str(FLAT_TOKENS)],
        "paced": [FASTAPI, "{port}", "paced", str(ENDLESS)],
    },
}


class Server(NamedTuple):
    port: int
    pid: int

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def memory_mb(self) -> float:
        (line,) = [line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if "VmRSS" in line]
        return int(line.split()[1]) / 1024


@contextmanager
def running(arguments: list[str]) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, *(argument.format(port=port) for argument in arguments)]
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield Server(port, process.pid)
    finally:
        process.kill()  # told to end, the bare sides would go on with streams that nobody reads
        process.wait()


def wait_for(port: int) -> None:
    for _ in range(3_000):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
        except ConnectionError:
            time.sleep(0.01)
        else:
            return
        finally:
            connection.close()
    raise TimeoutError("the server does not answer")


class Client:
    """Opens streams and counts the events that come."""

    def __init__(self, port: int, streams: int, max_tokens: int) -> None:
        self._selector = selectors.DefaultSelector()
        self.open = streams
        self.tokens = 0
        request = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": max_tokens}
        body = json.dumps({**request, "ignore_eos": True})
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        for _ in range(streams):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(head.encode() + body.encode())
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ)

    def read_until(self, when: float) -> None:
        while self.open and (left := when - time.perf_counter()) > 0:
            for key, _ in self._selector.select(left):
                block = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
                self.tokens += block.count(b'"finish_reason"')
                if not block:
                    self._selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                    self.open -= 1

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


def flat(server: Server) -> float:
    """Tokens a second."""
    client = Client(server.port, STREAMS["flat"], FLAT_TOKENS)
    began = time.perf_counter()
    client.read_until(began + 120)
    elapsed_s = time.perf_counter() - began
    client.close()
    return client.tokens / elapsed_s


def paced(server: Server) -> float:
    """Microseconds of CPU a token."""
    client = Client(server.port, STREAMS["paced"], ENDLESS)
    client.read_until(time.perf_counter() + SETTLE_S)
    cpu_s, tokens = server.cpu_s(), client.tokens
    client.read_until(time.perf_counter() + WINDOW_S)
    figure = (server.cpu_s() - cpu_s) / (client.tokens - tokens) * 1e6
    client.close()
    return figure


def start_figures() -> tuple[float, float]:
    began = time.perf_counter()
    with running(SIDES["ours"]["flat"]) as server:
        return time.perf_counter() - began, server.memory_mb()


def show(name: str, values: list[float], unit: str, against: float | None = None) -> None:
    middle = statistics.median(values)
    ratio = "" if against is None else f"   ours / this = {against / middle:.2f}"
    print(f"  {name:28} {middle:12,.1f} {unit}   [{min(values):,.1f} – {max(values):,.1f}]{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["flat", "paced", "start"])
    options = parser.parse_args()
    os.sched_setaffinity(0, {1})
    for work, measure, title, unit in (
        ("flat", flat, "flat out, 64 streams", "tokens/s"),
        ("paced", paced, "paced, 128 streams × 40 tokens/s", "µs of CPU a token"),
    ):
        if options.only not in (None, work):
            continue
        figures: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(options.rounds):
            for side, commands in SIDES.items():
                with running(commands[work]) as server:
                    figures[side].append(measure(server))
        print(title)
        ours = statistics.median(figures["ours"])
        for side, values in figures.items():
            show(side, values, unit, None if side == "ours" else ours)
    if options.only in (None, "start"):
        starts = [start_figures() for _ in range(options.rounds)]
        print("start")
        show("until the first answer", [seconds for seconds, _ in starts], "s")
        show("memory", [megabytes for _, megabytes in starts], "MB")


if __name__ == "__main__":
    main()
