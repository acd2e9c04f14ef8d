"""How long a stream waits once every choice has its finish reason, over every transport."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from typing import Any

import pytest

from sdk import InferenceClient, StallTimeoutError, Timeouts, TotalTimeoutError
from sdk.deadline import AFTER_FINISH_S
from tests.support.at_once import at_once
from tests.support.ways import WAYS, Asker, everywhere
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import DONE, LAST, PIECE, USAGE

over = threading.Event()
# The others differ in who made the client, not in how its streams are read.
SOME_WAYS = [way for way in WAYS if way.name.startswith(("direct", "httpx2"))]


@pytest.fixture(autouse=True)
def _servers_stop() -> Iterator[None]:
    over.clear()
    yield
    over.set()


def event(index: int, text: str = "", finish: str | None = None) -> bytes:
    choice = {"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def streaming(*events: bytes, then: Callable[[Peer], Any] = lambda peer: None) -> Callable[[Peer], None]:
    """A server that sends these blocks, does something else, and leaves the stream open."""

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(HEADERS)
        for data in events:
            peer.chunk(data)
        then(peer)
        peer.wait_closed()

    return play


def repeating(data: bytes) -> Callable[[Peer], None]:
    def repeat(peer: Peer) -> None:
        while not over.wait(0.05):
            peer.chunk(data)

    return repeat


async def read(asker: Asker, **how: Any) -> tuple[Any, float]:
    """The text of a stream, and how long the call waited for its end."""
    stream = await asker.stream(**how)
    texts, since = [], monotonic()
    async for chunk in asker.read(stream):
        texts.append(chunk.choices[0].delta.content)
        if texts[-1]:
            since = monotonic()
    tokens = None if stream.usage is None else stream.usage.completion_tokens
    return ("".join(texts), stream.finish_reason, tokens), monotonic() - since


def ends_of(play: Callable[[Peer], None], *, timeout: Any = 30, **how: Any) -> tuple[dict[str, Any], float]:
    """The results over every transport, and the longest wait for the end."""
    with WireServer(play) as server:
        ends = everywhere(server.url, lambda asker: read(asker, **how), SOME_WAYS, timeout=timeout)
        assert all(peer.is_closed_by_client() for peer in server.peers), "the connection is not kept"
    assert {name: end for name, end in ends.items() if isinstance(end, Exception)} == {}
    return {name: end[0] for name, end in ends.items()}, max(end[1] for end in ends.values())


LATE_ENDS: dict[str, tuple[Callable[[Peer], Any], int | None]] = {
    "silence": (lambda peer: None, None),
    "comments": (repeating(b": keep-alive\n\n"), None),
    "empty deltas": (repeating(event(0)), None),
    "a late usage": (lambda peer: (over.wait(AFTER_FINISH_S / 4), peer.chunk(USAGE)), 2),
    "usage again and again": (repeating(USAGE), 2),
}


def test_the_wait_for_the_end_is_short() -> None:
    cases = {name: partial(ends_of, streaming(PIECE, LAST, then=then)) for name, (then, _) in LATE_ENDS.items()}
    for name, (ends, waited_s) in at_once(cases).items():
        assert (name, set(ends.values())) == (name, {("hi!", "stop", LATE_ENDS[name][1])})
        assert waited_s < AFTER_FINISH_S + 3


def test_a_body_that_goes_on_after_done_is_not_awaited() -> None:
    for then in (lambda peer: None, repeating(b": keep-alive\n\n")):
        ends, waited_s = ends_of(streaming(PIECE, LAST, USAGE, DONE, then=then))
        assert set(ends.values()) == {("hi!", "stop", 2)}
        assert waited_s < AFTER_FINISH_S


def test_a_limit_that_passes_during_that_wait_is_not_an_error() -> None:
    for limits in (Timeouts(total=0.5), Timeouts(total=30, stall=0.3)):
        ends, _ = ends_of(streaming(PIECE, LAST), timeout=limits)
        assert set(ends.values()) == {("hi!", "stop", None)}


@pytest.mark.parametrize("end", [Peer.close, Peer.reset], ids=["closed", "reset"])
def test_a_connection_lost_during_that_wait_is_not_an_error(end: Callable[[Peer], None]) -> None:
    """The client must have read the finish reason before: a reset drops unread data."""
    came = threading.Semaphore(0)

    def then(peer: Peer) -> None:
        assert came.acquire(timeout=20)
        end(peer)

    async def read_all(asker: Asker) -> str:
        stream = await asker.stream()
        text = ""
        async for chunk in asker.read(stream):
            text += chunk.choices[0].delta.content
            if chunk.choices[0].finish_reason:
                came.release()
        return text

    def play(peer: Peer) -> None:
        streaming(PIECE, LAST, then=then)(peer)

    with WireServer(play) as server:
        ends = everywhere(server.url, read_all, SOME_WAYS)
    assert {name: end for name, end in ends.items() if end != "hi!"} == {}


def test_every_requested_choice_must_have_finished() -> None:
    ends, _ = ends_of(streaming(event(0, "a", "stop"), event(1, "b"), event(1, "c", "length")), n=2)
    assert {end[0] for end in ends.values()} == {"abc"}

    def waiting(peer: Peer) -> None:
        streaming(event(0, "a", "stop"), event(0, finish="stop"), event(1, "b"))(peer)  # one of them says so twice

    with WireServer(waiting) as server:
        ends = everywhere(server.url, lambda asker: read(asker, n=2), SOME_WAYS, timeout=Timeouts(total=30, stall=0.4))
        assert {type(end) for end in ends.values()} == {StallTimeoutError}
        ends = everywhere(server.url, lambda asker: read(asker, n=3), SOME_WAYS, timeout=0.4)
        assert {type(end) for end in ends.values()} == {TotalTimeoutError}


def test_text_after_a_finish_reason_is_not_cut_off() -> None:
    def then(peer: Peer) -> None:
        for _ in range(2):
            over.wait(AFTER_FINISH_S * 0.7)
            peer.chunk(LAST)
        peer.chunk(DONE)
        peer.end()

    ends, _ = ends_of(streaming(PIECE, LAST, then=then))
    assert {end[0] for end in ends.values()} == {"hi!!!"}


OF_AN_ANSWER: dict[str, Any] = {
    "text": {"content": "?"},
    "reasoning": {"reasoning_content": "hm"},
    "a refusal": {"refusal": "no"},
    "a tool call": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]},
    "a function call": {"function_call": {"name": "f", "arguments": "{}"}},
}


def test_any_part_of_an_answer_shows_that_it_goes_on() -> None:
    def going_on(delta: Any) -> Callable[[Peer], None]:
        def then(peer: Peer) -> None:
            over.wait(AFTER_FINISH_S * 0.7)
            peer.chunk(b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n")
            over.wait(0.1)
            peer.chunk(event(0))
            over.wait(AFTER_FINISH_S * 1.2)
            peer.chunk(LAST + DONE)

        return streaming(PIECE, LAST, then=then)

    cases = {name: partial(ends_of, going_on(delta)) for name, delta in OF_AN_ANSWER.items()}
    for name, (ends, _) in at_once(cases).items():
        content = OF_AN_ANSWER[name].get("content", "")
        assert (name, {end[0] for end in ends.values()}) == (name, {f"hi!{content}!"})


def test_text_shows_that_a_completion_goes_on() -> None:
    def play(peer: Peer) -> None:
        def then(peer: Peer) -> None:
            for text in (b"b", b"c"):
                over.wait(AFTER_FINISH_S * 0.7)
                peer.chunk(b'data: {"choices":[{"index":0,"text":"%s"}]}\n\n' % text)
            peer.chunk(DONE)

        streaming(b'data: {"choices":[{"index":0,"text":"a","finish_reason":"stop"}]}\n\n', then=then)(peer)

    with WireServer(play) as server, InferenceClient(server.url, timeout=30) as client:
        stream = client.complete_stream("m", "q")
        assert "".join(chunk.choices[0].text for chunk in stream) == "abc"


def test_a_stream_that_ends_in_time_keeps_its_connection() -> None:
    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.send(HEADERS)
            for data in (PIECE, LAST, USAGE):
                peer.chunk(data)
                over.wait(0.02)
            peer.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(DONE), DONE))

    async def twice(asker: Asker) -> list[Any]:
        return [(await read(asker))[0] for _ in range(2)]

    with WireServer(play) as server:
        ends = everywhere(server.url, twice, SOME_WAYS)
        assert {name: end for name, end in ends.items() if end != [("hi!", "stop", 2)] * 2} == {}
        assert server.connections == len(ends)


def test_a_late_reader_gets_the_end_that_arrived_in_time() -> None:
    def play(peer: Peer) -> None:
        while peer.read_request():
            peer.send(HEADERS)
            for data in (PIECE, LAST):
                peer.chunk(data)
            over.wait(0.1)
            peer.chunk(USAGE)
            peer.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(DONE), DONE))

    pause = threading.Event()

    async def late(asker: Asker) -> Any:
        for is_late in (True, False):
            stream = await asker.stream()
            async for chunk in asker.read(stream):
                if chunk.choices[0].finish_reason and is_late:
                    pause.wait(AFTER_FINISH_S * 1.2)  # the event loop stands still, too
        return stream.usage.completion_tokens

    with WireServer(play) as server:
        ends = everywhere(server.url, late, SOME_WAYS)
        assert {name: end for name, end in ends.items() if end != 2} == {}
        assert server.connections == len(ends)
