"""Time limits hold over every transport, whatever the server does."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic
from typing import Any

import pytest

from sdk import (
    AnswerTooLargeError,
    AsyncInferenceClient,
    ConnectTimeoutError,
    FirstByteTimeoutError,
    InferenceClient,
    ProtocolError,
    RetryPolicy,
    SDKError,
    ServerError,
    StallTimeoutError,
    Timeouts,
    TotalTimeoutError,
)
from sdk.transport.blocking import BlockingTransport
from sdk.transport.direct import DirectTransport
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.full_port import FullPort
from tests.support.ways import TLS_WAYS, WAYS, Asker, Program, everywhere, run
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import CHAT, PIECE

# far more than a limit of a fraction of a second needs, also on a busy machine, and far less than any other limit
AT_MOST_S = 4.0
NO_RETRIES = RetryPolicy(0)
# httpx and httpx2 leave the body that they were sending to the garbage collector; trio remarks on it
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object")


async def chat(asker: Asker) -> str:
    return await asker.chat()


async def large_chat(asker: Asker) -> str:
    return await asker.chat("x" * (24 << 20))


async def with_cards(asker: Asker) -> str:
    """A question that is a chat or a completion according to the list of models."""
    return await asker.infer()


async def stream(asker: Asker) -> str:
    text: str = (await asker.read_all()).text
    return text


def drip(peer: Peer, data: bytes) -> None:
    """Sends a byte now and then, for longer than any limit here."""
    for byte in data * 100:
        peer.send(bytes([byte]))
        if over.wait(0.02):
            return


def drip_chunks(peer: Peer, chunk: bytes) -> None:
    while not over.wait(0.02):
        peer.chunk(chunk)


def flood(peer: Peer, chunk: bytes) -> None:
    """Sends a token now and then, so that the limit on bytes without an answer does not end it first."""
    peer.send(HEADERS)
    while not over.is_set():
        peer.chunk(PIECE)
        for _ in range(1_000):
            peer.chunk(chunk)


over = threading.Event()
# What a server does that never comes to an end, and how it is asked.
ENDLESS: dict[str, tuple[Callable[[Peer], Any], Program]] = {
    "no answer": (lambda peer: None, chat),
    "no list of models": (lambda peer: None, with_cards),
    "no answer to a stream": (lambda peer: None, stream),
    "the head comes byte by byte": (lambda peer: drip(peer, b"HTTP/1.1 200 OK\r\nX: y"), chat),
    "interim answers": (lambda peer: drip(peer, b"HTTP/1.1 100 Continue\r\n\r\n"), chat),
    "silence in the body": (lambda peer: peer.send(HEADERS + b"3\r\n{  \r\n"), chat),
    "the body comes byte by byte": (lambda peer: (peer.send(HEADERS), drip(peer, b"1\r\n \r\n")), chat),
    "a chunk that never begins": (lambda peer: (peer.send(HEADERS), drip(peer, b"0")), chat),
    "silence in a stream": (lambda peer: (peer.send(HEADERS), peer.chunk(PIECE)), stream),
    "comments": (lambda peer: (peer.send(HEADERS), drip_chunks(peer, b":\n\n")), stream),
    "tokens": (lambda peer: (peer.send(HEADERS), drip_chunks(peer, PIECE)), stream),
}


def then_wait(act: Callable[[Peer], Any], *, reads: bool = True) -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        if reads:
            peer.read_request()
        act(peer)
        peer.wait_closed()

    return play


def timed(program: Program) -> Program:
    async def clock(asker: Asker) -> tuple[str, bool]:
        since = monotonic()
        try:
            end = await program(asker)
        except SDKError as error:
            end = type(error).__name__
        return end, monotonic() - since < AT_MOST_S

    return clock


def all_end_with(kind: type[SDKError], ends: dict[str, Any]) -> None:
    assert {name: end for name, end in ends.items() if end != (kind.__name__, True)} == {}


@pytest.fixture(autouse=True)
def _servers_stop() -> Any:
    over.clear()
    yield
    over.set()


@pytest.mark.parametrize("what", ENDLESS)
def test_the_total_limit_ends_an_endless_call(what: str) -> None:
    act, program = ENDLESS[what]
    with WireServer(then_wait(act)) as server:
        all_end_with(TotalTimeoutError, everywhere(server.url, timed(program), timeout=0.4, retries=NO_RETRIES))
        over.set()
        assert all(peer.is_closed_by_client() for peer in server.peers)


@pytest.mark.parametrize("chunk", [b": still here\n\n" * 100, PIECE * 10], ids=["comments", "tokens"])
@pytest.mark.parametrize("name", ["direct-sync", "direct-asyncio", "httpx2-sync", "httpx2-asyncio", "httpx2-trio"])
def test_the_total_limit_holds_while_data_keeps_arriving(name: str, chunk: bytes) -> None:
    ways = [way for way in WAYS if way.name == name]
    with WireServer(then_wait(lambda peer: flood(peer, chunk))) as server:
        all_end_with(TotalTimeoutError, everywhere(server.url, timed(stream), ways, timeout=0.3))
        over.set()


def test_the_total_limit_holds_for_a_request_that_nobody_reads() -> None:
    with WireServer(then_wait(lambda peer: over.wait(30), reads=False)) as server:
        all_end_with(TotalTimeoutError, everywhere(server.url, timed(large_chat), timeout=0.8, retries=NO_RETRIES))
        over.set()


def test_the_total_limit_holds_for_the_body_of_an_error() -> None:
    def act(peer: Peer) -> None:
        peer.send(HEADERS.replace(b"200 OK", b"500 Oops"))
        drip(peer, b"1\r\n \r\n")

    with WireServer(then_wait(act)) as server:
        all_end_with(ServerError, everywhere(server.url, timed(chat), timeout=0.4, retries=NO_RETRIES))
        over.set()


def test_the_total_limit_holds_across_attempts() -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

    def play(peer: Peer) -> None:
        while peer.read_request():
            over.wait(0.15)
            peer.send(busy)

    with WireServer(play) as server:
        retries = RetryPolicy(1000, base_delay_s=0.001)
        ends = everywhere(server.url, timed(chat), timeout=0.6, retries=retries)
    assert set(ends.values()) <= {("ServiceUnavailableError", True), ("TotalTimeoutError", True)}


def test_the_limit_of_the_first_byte() -> None:
    with WireServer(then_wait(lambda peer: None)) as server:
        limits = Timeouts(total=30, first_byte=0.3)
        all_end_with(FirstByteTimeoutError, everywhere(server.url, timed(chat), timeout=limits))


@pytest.mark.parametrize("what", ["silence in a stream", "comments"])
def test_the_stall_limit(what: str) -> None:
    act, program = ENDLESS[what]
    with WireServer(then_wait(act)) as server:
        limits = Timeouts(total=30, first_byte=20, stall=0.3)
        all_end_with(StallTimeoutError, everywhere(server.url, timed(program), timeout=limits))
        over.set()


def test_the_limit_of_waiting_for_a_connection() -> None:
    makes: dict[str, Callable[..., Any]] = {
        "direct-sync": BlockingTransport,
        "httpx2-sync": HttpxTransport,
        "direct-asyncio": DirectTransport,
        "direct-uvloop": DirectTransport,
        "httpx2-asyncio": AsyncHttpxTransport,
        "httpx2-trio": AsyncHttpxTransport,
    }

    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.send(HEADERS)
            peer.chunk(PIECE)

    async def busy(asker: Asker) -> list[str]:
        stream = await asker.stream()
        kinds = []
        for limits in (Timeouts(total=30, pool=0.2), Timeouts(total=0.2, pool=20)):
            try:
                await asker.chat(timeout=limits)
            except SDKError as error:
                kinds.append(type(error).__name__)
        await asker.leave(stream)
        return kinds

    for way in WAYS:
        if way.name in makes:
            with WireServer(play) as server:
                transport = makes[way.name](max_connections=1)
                asker = Asker(
                    InferenceClient(server.url, transport=transport)
                    if way.name.endswith("sync")
                    else AsyncInferenceClient(server.url, transport=lambda transport=transport: transport)
                )
                assert (way.name, run(way, asker, busy)) == (way.name, ["PoolTimeoutError", "TotalTimeoutError"])


def test_a_connection_on_which_a_limit_passed_is_not_used_again() -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n{")
        over.wait(20)  # the rest comes when nobody wants it any more

    def late_rest(peer: Peer) -> None:
        if peer.number <= len(WAYS):
            play(peer)
        else:
            while peer.read_request():
                peer.answer(CHAT)

    started = threading.Barrier(len(WAYS))

    async def twice(asker: Asker) -> str:
        with contextlib.suppress(TotalTimeoutError):
            await asker.chat(timeout=0.5)
        started.wait(20)
        return await asker.chat()

    with WireServer(late_rest) as server:
        ends = everywhere(server.url, twice, retries=NO_RETRIES, timeout=20)
        over.set()
    assert {name: end for name, end in ends.items() if end != "hi"} == {}


@pytest.mark.parametrize("none", [0, -1, None])
def test_a_call_without_limits(none: float | None) -> None:
    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.answer(CHAT)

    limits = Timeouts(none, none, none, none, none)
    with WireServer(play) as server:
        assert set(everywhere(server.url, chat, timeout=limits).values()) == {"hi"}


def test_the_first_byte_limit_counts_from_the_end_of_the_request() -> None:
    """A server that accepts the connection late, and then answers immediately."""

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.answer(CHAT)
        peer.wait_closed()

    with ExitStack() as stack:
        port = FullPort(stack)
        threading.Timer(0.6, port.open, (play,)).start()
        # SYNs that were dropped are sent again after a second
        limits = Timeouts(total=30, connect=20, first_byte=0.5)
        ends = everywhere(port.url, chat, timeout=limits, retries=NO_RETRIES)
    assert set(ends.values()) == {"hi"}, ends


def test_the_limit_of_connecting() -> None:
    with ExitStack() as stack:
        port = FullPort(stack)
        limits = Timeouts(total=30, connect=0.3)
        all_end_with(ConnectTimeoutError, everywhere(port.url, timed(chat), timeout=limits, retries=NO_RETRIES))
        limits = Timeouts(total=0.3, connect=20)
        all_end_with(TotalTimeoutError, everywhere(port.url, timed(chat), timeout=limits, retries=NO_RETRIES))


@pytest.mark.parametrize("what", ["silence", "byte by byte"])
def test_a_handshake_that_never_ends_counts_as_connecting(what: str) -> None:
    def act(peer: Peer) -> None:
        if what == "byte by byte":
            peer.send(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB begins
            drip(peer, bytes(10))
        over.wait(30)

    with WireServer(then_wait(act, reads=False)) as server:
        url = server.url.replace("http:", "https:")
        for limits, kind in (
            (Timeouts(total=30, connect=0.4), ConnectTimeoutError),
            (Timeouts(total=0.4, connect=20), TotalTimeoutError),
        ):
            all_end_with(kind, everywhere(url, timed(chat), TLS_WAYS, timeout=limits, retries=NO_RETRIES))
        over.set()


def test_a_proxy_that_never_makes_its_tunnel_counts_as_connecting() -> None:
    def play(peer: Peer) -> None:
        assert peer.read_request().startswith(b"CONNECT ")
        peer.wait_closed()

    with WireServer(play) as proxy:
        ways = [way for way in WAYS if way.goes_by_proxy]
        limits = Timeouts(total=30, connect=0.4, first_byte=20)
        ends = everywhere(proxy.url, timed(chat), ways, timeout=limits, retries=NO_RETRIES, scheme="https")
    all_end_with(ConnectTimeoutError, ends)


WHOLE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE_BEGIN = b'{"choices":[{"message":{"content":"'


@pytest.mark.parametrize("program", [chat, with_cards, lambda asker: asker.models()], ids=["chat", "infer", "models"])
def test_a_whole_answer_that_never_ends_is_refused_at_the_limit(program: Program) -> None:
    def act(peer: Peer) -> None:
        peer.send(WHOLE_HEAD)
        peer.chunk(WHOLE_BEGIN)
        while not over.is_set():
            peer.chunk(b"x" * 10_000)

    with WireServer(then_wait(act)) as server:
        ends = everywhere(server.url, program, max_answer_bytes=100_000, retries=NO_RETRIES)
        for name, error in ends.items():
            assert isinstance(error, AnswerTooLargeError), (name, error)
            assert "over 100000 bytes" in str(error)
            assert "max_answer_bytes" in str(error)
        assert all(peer.is_closed_by_client() for peer in server.peers)
        over.set()


def test_a_whole_answer_may_be_as_large_as_the_limit() -> None:
    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.send(WHOLE_HEAD)
            peer.chunk(CHAT[:20])
            peer.chunk(CHAT[20:])
            peer.end()

    with WireServer(play) as server:
        assert set(everywhere(server.url, chat, max_answer_bytes=len(CHAT)).values()) == {"hi"}
        ends = everywhere(server.url, chat, max_answer_bytes=len(CHAT) - 1)
    assert {type(end) for end in ends.values()} == {AnswerTooLargeError}


@pytest.mark.parametrize("coding", ["gzip", "br"])
@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
@pytest.mark.parametrize("program", [chat, stream], ids=["whole", "stream"])
def test_a_compressed_answer_is_not_unpacked(coding: str, status: str, program: Program) -> None:
    bomb = gzip.compress(bytes(1 << 20))
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

    def act(peer: Peer) -> None:
        peer.send(head)
        while not over.is_set():
            peer.chunk(bomb)

    with WireServer(then_wait(act)) as server:
        ends = everywhere(server.url, program, max_answer_bytes=10**12, retries=NO_RETRIES, timeout=30)
        assert {type(end) for end in ends.values()} == {ProtocolError if status == "200 OK" else ServerError}
        assert all(peer.is_closed_by_client() for peer in server.peers)
        over.set()
