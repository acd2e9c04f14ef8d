"""Host names with several addresses, and slow look-ups, over the direct transports."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic
from typing import Any

import pytest

from sdk import ConnectError, ConnectTimeoutError, RetryPolicy, SDKError, Timeouts, TotalTimeoutError
from sdk.transport.lookup import MAX_THREADS
from tests.support.developer_mode import run_in_developer_mode
from tests.support.full_port import FullPort
from tests.support.ways import WAYS, Asker, everywhere
from tests.support.wire import Peer, WireServer
from tests.unit.sdk.api import CHAT

DIRECT = [way for way in WAYS if way.name.startswith("direct")]
NO_RETRIES = RetryPolicy(0)
Names = dict[str, Callable[[], list[tuple[str, int]]]]


async def chat(asker: Asker) -> str:
    return await asker.chat()


def hi(peer: Peer) -> None:
    while peer.read_request():
        peer.answer(CHAT)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The names that resolve, each to the result of its function; others are looked up as usual."""
    known: Names = {}
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in known:
            return look_up(host, port, *args, **kwargs)
        return [_found(*address) for address in known[host]()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def _found(address: str, port: int) -> tuple[Any, ...]:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)


def timed(program: Callable[[Asker], Any]) -> Callable[[Asker], Any]:
    async def run(asker: Asker) -> tuple[Any, float]:
        since = monotonic()
        try:
            end = await program(asker)
        except SDKError as error:
            end = type(error)
        return end, monotonic() - since

    return run


def test_an_unresponsive_address_does_not_delay_the_next(names: Names) -> None:
    with ExitStack() as stack, WireServer(hi) as server:
        dead = [FullPort(stack).address for _ in range(2)]
        names["several.example"] = lambda: [*dead, ("127.0.0.1", server.port)]
        limits = Timeouts(total=12, connect=3)
        ends = everywhere("http://several.example", timed(chat), DIRECT, timeout=limits, retries=NO_RETRIES)
    assert {end for end, _ in ends.values()} == {"hi"}
    assert max(took_s for _, took_s in ends.values()) < 2.5, "one quarter of a second for each address before"


def test_a_refusing_address_is_skipped_immediately(names: Names) -> None:
    with WireServer(hi) as server:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()
        names["several.example"] = lambda: [nobody, ("::1", nobody[1]), ("127.0.0.1", server.port)]
        ends = everywhere("http://several.example", chat, DIRECT, retries=NO_RETRIES)
    assert set(ends.values()) == {"hi"}


def test_the_reason_is_reported_if_every_address_refuses(names: Names) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()
    names["several.example"] = lambda: [("100::1", 9), nobody, nobody]  # RFC 6666: an address that leads nowhere
    ends = everywhere("http://several.example", chat, DIRECT, retries=NO_RETRIES)
    for end in ends.values():
        assert isinstance(end, ConnectError)
        assert "nothing answers at http://several.example (connection refused)" in str(end)


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Timeouts(total=0.6, connect=20), TotalTimeoutError),
        (Timeouts(total=20, connect=0.6), ConnectTimeoutError),
    ],
    ids=["total", "connect"],
)
def test_one_limit_applies_to_all_addresses(names: Names, limits: Timeouts, kind: type[SDKError]) -> None:
    with ExitStack() as stack:
        dead = [FullPort(stack).address for _ in range(3)]
        names["dead.example"] = lambda: dead
        ends = everywhere("http://dead.example", timed(chat), DIRECT, timeout=limits, retries=NO_RETRIES)
    assert {end for end, _ in ends.values()} == {kind}
    assert max(took_s for _, took_s in ends.values()) < 3


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Timeouts(total=0.4, connect=20), TotalTimeoutError),
        (Timeouts(total=20, connect=0.4), ConnectTimeoutError),
    ],
    ids=["total", "connect"],
)
def test_a_slow_look_up_ends_within_the_limit(names: Names, limits: Timeouts, kind: type[SDKError]) -> None:
    go_on = threading.Event()

    def slow() -> list[tuple[str, int]]:
        go_on.wait(30)
        return [("127.0.0.1", 1)]

    host = f"slow-{kind.__name__.lower()}.example"  # calls share a look-up under way: each case has its own
    names[host] = slow
    try:
        ends = everywhere(f"http://{host}", timed(chat), DIRECT, timeout=limits, retries=NO_RETRIES)
    finally:
        go_on.set()
    assert {end for end, _ in ends.values()} == {kind}
    assert max(took_s for _, took_s in ends.values()) < 3


def test_calls_for_the_same_name_share_one_look_up(names: Names) -> None:
    asked: list[int] = []
    waiting = threading.Semaphore(0)

    with WireServer(hi) as server:

        def once() -> list[tuple[str, int]]:
            asked.append(1)
            waiting.acquire(timeout=0.5)
            return [("127.0.0.1", server.port)]

        names["shared.example"] = once

        async def many(asker: Asker) -> list[str]:
            return await asyncio.gather(*(asker.chat() for _ in range(50)))

        ends = everywhere("http://shared.example", many, [way for way in DIRECT if way.name != "direct-sync"])
    assert {name: end for name, end in ends.items() if end != ["hi"] * 50} == {}
    assert len(asked) <= 2


def test_the_number_of_hanging_look_ups_is_limited(names: Names) -> None:
    go_on = threading.Event()
    under_way = 0

    def slow() -> list[tuple[str, int]]:
        nonlocal under_way
        under_way += 1
        go_on.wait(30)
        return [("127.0.0.1", 1)]

    hosts = [f"slow-{number}.example" for number in range(MAX_THREADS + 8)]
    names.update(dict.fromkeys(hosts, slow))
    try:
        for host in hosts:
            [end] = everywhere(f"http://{host}", chat, DIRECT[:1], timeout=0.05, retries=NO_RETRIES).values()
            assert isinstance(end, TotalTimeoutError)
        assert under_way == MAX_THREADS
    finally:
        go_on.set()


@pytest.mark.parametrize("way", ["sync", "asyncio"])
def test_an_abandoned_look_up_does_not_delay_the_end_of_the_process(way: str) -> None:
    program = """
import asyncio, socket, sys, time
from sdk import AsyncInferenceClient, InferenceClient, TotalTimeoutError
socket.getaddrinfo = lambda *_, **__: time.sleep(60)
how = {"timeout": 0.2}
try:
    if sys.argv[1] == "sync":
        InferenceClient("http://slow.example", **how).models()
    else:
        asyncio.run(AsyncInferenceClient("http://slow.example", **how).models())
except TotalTimeoutError:
    print("in time")
"""
    ended = run_in_developer_mode("-c", program, way, timeout_s=30)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("in time\n", "", 0)
