"""A server's own counters, read over a socket before and after a load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bench.load.scrape import Scrape
from bench.records.run import ServerCounters
from bench.target import Target, Timeouts, read_address
from tests.support.wire import Peer, WireServer


def page(requests: int) -> bytes:
    return (
        f'vllm:request_success_total{{finished_reason="stop",model_name="m"}} {requests}\n'
        f'vllm:generation_tokens_total{{model_name="m"}} {requests * 4}\n'
    ).encode()


def counted(play: Callable[[Peer], None], requests: int = 0) -> ServerCounters:
    async def main(url: str) -> ServerCounters:
        target = Target(read_address(url), api_key=None, timeouts=Timeouts())
        try:
            scrape = Scrape(target, "m")
            await scrape.begin()
            return await scrape.end(requests)
        finally:
            await target.aclose()

    with WireServer(play) as server:
        return asyncio.run(main(server.url))


def pages(*bodies: bytes) -> Callable[[Peer], None]:
    """Answers each request for /metrics with the next body."""

    def play(peer: Peer) -> None:
        for body in bodies if peer.number == 1 else ():
            if not peer.read_request().startswith(b"GET /metrics HTTP/1.1\r\n"):
                return
            peer.answer(body)
        peer.close()

    return play


def test_the_counters_are_read_again_until_the_server_has_counted_every_request() -> None:
    assert counted(pages(page(5), page(6), page(7), page(8)), requests=3) == ServerCounters(
        requests=3, generation_tokens=12
    )


def test_a_server_that_counts_no_requests_is_not_asked_again() -> None:
    tokens = b'vllm:generation_tokens_total{model_name="m"} %d\n'
    assert counted(pages(tokens % 4, tokens % 10), requests=3) == ServerCounters(generation_tokens=6)


@pytest.mark.parametrize(
    ("play", "problem"),
    [
        (lambda peer: peer.close(), "/metrics cannot be read ("),
        (pages(page(1)), "/metrics cannot be read ("),
        (pages(b"vllm:prompt_tokens_total 9007199254740992\n" * 2), "/metrics is not in the Prometheus format"),
        (lambda peer: peer.answer(b"", "404 Not Found"), "/metrics answers 404"),
    ],
    ids=["closes at once", "closes after the load", "numbers out of range", "has no such page"],
)
def test_why_there_are_no_counters_is_reported(play: Callable[[Peer], None], problem: str) -> None:
    found = counted(play)
    assert found.problem is not None
    assert found.problem.startswith(problem)
