"""Loads that a driver carries out against a server that plays literal bytes, over either wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from bench.load.driver import Driver
from bench.load.plan import ClosedLoop, Limits, OpenLoop
from bench.records.moments import MomentLog
from bench.records.record import Record
from bench.target import Target, Timeouts, read_address
from bench.wire.kernel import KernelWire
from bench.wire.sdk_wire import SdkWire
from bench.workload.body import BodyForm, Features
from bench.workload.datasets import Prompt, PromptList
from tests.support.wire import HEADERS, Peer
from tests.unit.bench.answer.test_events import chat, usage_only


def frame(payload: bytes) -> bytes:
    return b"data: " + payload + b"\n\n"


TOKENS = [frame(chat(role="assistant", content="")), frame(chat(content="a")), frame(chat(content="b"))]
WHOLE = [*TOKENS, frame(chat(content="", finish="stop")), frame(usage_only(3)), frame(b"[DONE]")]
PROMPTS = [Prompt(3, messages=[{"role": "user", "content": "hi"}])]


def stream(peer: Peer, frames: list[bytes]) -> None:
    peer.send(HEADERS)
    for one in frames:
        peer.chunk(one)


def answering(*frames: bytes) -> Callable[[Peer], None]:
    """Every request on a connection gets this stream."""

    def play(peer: Peer) -> None:
        while peer.read_request():
            stream(peer, list(frames))
            peer.end()

    return play


WIRES = {"kernel": lambda url: KernelWire(url.api.origin), "plain": lambda url: SdkWire(100)}


class Drive(Protocol):
    def __call__(self, url: str, **options: Any) -> tuple[list[Record], Driver]: ...


def run_load(
    wire_name: str,
    url: str,
    *,
    streams: int = 1,
    requests: int = 1,
    plan: ClosedLoop | OpenLoop | None = None,
    timeouts: Timeouts | None = None,
    exact_length: bool = False,
    streamed: bool = True,
    keep: Callable[[Record], None] | None = None,
    prompts: list[Prompt] | None = None,
    interrupt: Callable[[Driver], None] | None = None,
    **options: Any,
) -> tuple[list[Record], Driver]:
    """Run a plan (a closed loop unless given) against a server; `interrupt` is called once tokens have arrived."""
    kept: list[Record] = []

    async def main() -> Driver:
        address = read_address(url)
        target, wire = Target(address, api_key="k", timeouts=timeouts or Timeouts()), WIRES[wire_name](address)
        driver = Driver(
            target,
            wire,
            BodyForm("chat", "m", Features(), {}, streamed),
            PromptList(prompts or PROMPTS, name="one", seed=1, nonce=None),
            keep or kept.append,
            MomentLog(),
            run_id="t",
            exact_length=exact_length,
            **options,
        )
        running = asyncio.create_task(driver.run(plan or ClosedLoop(streams, Limits(requests=requests))))
        if interrupt is not None:
            while not _all_streaming(driver, 2 if plan else streams):  # noqa: ASYNC110 - counters do not call back
                await asyncio.sleep(0)
            interrupt(driver)
        try:
            await running
        finally:
            await wire.aclose()
            await target.aclose()
        return driver

    return kept, asyncio.run(main())


def _all_streaming(driver: Driver, streams: int) -> bool:
    attempts = driver.tally.under_way
    return len(attempts) == streams and all(attempt.answer.reading.events for attempt in attempts)
