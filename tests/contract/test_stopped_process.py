"""After a stopped process or a blocked event loop resumes, it reads waiting data before a limit becomes an error."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from time import sleep
from typing import Any

import pytest
import uvloop

from sdk import AsyncInferenceClient, SDKError, Timeouts
from sdk.transport.httpx import AsyncHttpxTransport
from tests.support.serving import ROOT
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import PIECE

BATCHES, PIECES = 10, 30
# Much to read and little to parse: many threads share the half second in which they may hand it over.
BATCH = PIECE * PIECES + b": " + b"x" * 20_000 + b"\n\n"
CHARACTERS = 2 * (BATCHES * PIECES + 1)
PROGRAM = """
import json, sys, threading
from sdk import InferenceClient, SDKError, Timeouts
from sdk.deadline import Deadline
from sdk.transport.blocking import BlockingTransport
from tests.support.ways import WAYS, Asker, Way, run


class Own:
    "A transport that knows nothing of limits."

    def __init__(self):
        self.transport = BlockingTransport()

    def send(self, request, deadline):
        return self.transport.send(request, Deadline(Timeouts()))

    def close(self):
        self.transport.close()


def own(number):
    return Way(f"own-sync-{number}", WAYS[0].run, lambda url: Asker(InferenceClient(url, transport=Own())))


LIMITS = {"stall": Timeouts(total=60, stall=1), "total": Timeouts(total=2)}
if sys.argv[2] == "own":
    WAYS = list(map(own, range(8)))  # which of its two threads goes on first is up to chance
    del LIMITS["total"]  # for half a second only, whatever the load
ready = threading.Barrier(len(LIMITS) * len(WAYS) + 1)
ends = {}


def read(way, asker, limit):
    async def program(asker):
        stream = await asker.stream(timeout=LIMITS[limit])
        await asker.next(stream)
        ready.wait(60)
        try:
            async for _ in asker.read(stream):
                pass
        except SDKError as error:
            return type(error).__name__, len(error.partial)

    ends[f"{way.name} {limit}"] = run(way, asker, program)


askers = [(way, way.open(sys.argv[1]), limit) for way in WAYS for limit in LIMITS]
threads = [threading.Thread(target=read, args=asker) for asker in askers]
for thread in threads:
    thread.start()
ready.wait(60)
print("ready", flush=True)
for thread in threads:
    thread.join()
print(json.dumps(ends))
"""


@pytest.mark.parametrize("ways", ["all", "own"])
def test_data_that_arrived_during_a_stop_is_returned_before_the_error_of_a_limit(ways: str) -> None:
    go_on = threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        peer.chunk(PIECE)
        go_on.wait(60)
        for _ in range(BATCHES):
            peer.chunk(BATCH)
        peer.wait_closed()

    with WireServer(play) as server:
        command = [sys.executable, "-c", PROGRAM, server.url, ways]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "."}, stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGSTOP)
            go_on.set()
            sleep(2.2)  # no event: it is stopped for longer than the limits
            process.send_signal(signal.SIGCONT)
            ends = json.loads(process.stdout.read())
    names = {"stall": "StallTimeoutError", "total": "TotalTimeoutError"}
    expected = {name: [names[name.split()[1]], CHARACTERS] for name in ends}
    assert ends == expected


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("make", [None, AsyncHttpxTransport], ids=["direct", "httpx2"])
@pytest.mark.parametrize("limits", [{"stall": 0.2}, {"total": 0.4}], ids=["stall", "total"])
def test_data_that_arrived_while_the_loop_was_blocked_is_returned(
    run: Callable[[Any], Any], make: Any, limits: dict[str, float]
) -> None:
    came, go_on = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        peer.chunk(PIECE)
        go_on.wait(10)
        for _ in range(BATCHES):
            peer.chunk(BATCH)
        came.set()
        peer.wait_closed()

    async def main(url: str) -> tuple[int, type[Any]]:
        async with AsyncInferenceClient(url, transport=make, timeout=Timeouts(**limits)) as client:
            stream = await client.chat_stream("m", "q")
            await anext(stream)
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            go_on.set()
            came.wait(10)
            threading.Event().wait(0.6)  # the loop stands still, and its limit passes
            try:
                await reading
                async for _ in stream:
                    pass
            except SDKError as error:
                return len(error.partial), type(error)
        raise AssertionError("no limit passed")

    with WireServer(play) as server:
        length, kind = run(main(server.url))
    assert length == CHARACTERS
    assert kind.__name__ == f"{next(iter(limits)).title()}TimeoutError"
