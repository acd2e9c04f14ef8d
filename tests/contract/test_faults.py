"""Every way in which a server fails half-way, over every transport: the error, the partial text, a clean pool."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from sdk import (
    AsyncInferenceClient,
    ConnectionLostError,
    InferenceClient,
    ProtocolError,
    RateLimitError,
    RetryPolicy,
    SDKError,
    ServerError,
    ServiceUnavailableError,
    StallTimeoutError,
    StreamServerError,
    StreamTruncatedError,
    Timeouts,
)
from sdk.transport.blocking import BlockingTransport
from sdk.transport.direct import DirectTransport
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.wire import HEADERS, Peer, WireServer

LIMITS = Timeouts(total=10, first_byte=5, stall=0.3)
NO_RETRIES = RetryPolicy(0)


def event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]}, ensure_ascii=False)}\n\n".encode()


HALF = event("浙") + event("江")
LAST = event("。", "stop")
DONE = b"data: [DONE]\n\n"


def stream(*chunks: bytes, end: Callable[[Peer], None] = Peer.end) -> Callable[[Peer], None]:
    def play(peer: Peer) -> None:
        peer.send(HEADERS)
        for chunk in chunks:
            peer.chunk(chunk)
        end(peer)

    return play


def cut(peer: Peer) -> None:
    peer.send(b"40\r\ndata: {")
    peer.close()


def status(line: str, body: bytes, headers: str = "Content-Type: application/json") -> Callable[[Peer], None]:
    return lambda peer: peer.answer(body, line, headers)


def whole_answer_in_pieces(size: int) -> Callable[[Peer], None]:
    data = HALF + LAST + DONE
    return stream(*(data[at : at + size] for at in range(0, len(data), size)))


# what the server does: the text that arrives, and the error that it ends with
FAULTS: dict[str, tuple[Callable[[Peer], None], str, type[SDKError] | None]] = {
    "500": (status("500 Oops", b'{"error":{"message":"oops"}}'), "", ServerError),
    "429": (status("429 Slow down", b"{}", "Retry-After: 1"), "", RateLimitError),
    "503": (status("503 Loading", b"{}", "Retry-After: 1"), "", ServiceUnavailableError),
    "HTML 502": (status("502 Bad Gateway", b"<html>gateway</html>", "Content-Type: text/html"), "", ServerError),
    "no answer": (Peer.close, "", ConnectionLostError),
    "reset half-way": (stream(HALF, end=Peer.reset), "浙江", ConnectionLostError),
    "silence half-way": (stream(HALF, end=Peer.wait_closed), "浙江", StallTimeoutError),
    "cut in a chunk": (stream(HALF, end=cut), "浙江", ConnectionLostError),
    "a clean end too early": (stream(HALF), "浙江", StreamTruncatedError),
    "broken JSON": (stream(HALF, b'data: {"choices":[{"del\n\n', LAST, DONE), "浙江", ProtocolError),
    "an error event": (stream(HALF, b'data: {"error":{"message":"oom"}}\n\n', DONE), "浙江", StreamServerError),
    "CRLF": (stream((HALF + LAST + DONE).replace(b"\n", b"\r\n")), "浙江。", None),
    "comments": (stream(b": keep-alive\n\n", HALF, b":\n\n", LAST, DONE), "浙江。", None),
    "three bytes at a time": (whole_answer_in_pieces(3), "浙江。", None),
    "all at once": (stream(HALF + LAST + DONE), "浙江。", None),
    "no [DONE]": (stream(HALF, LAST), "浙江。", None),
    "no space": (stream((HALF + LAST + DONE).replace(b"data: ", b"data:")), "浙江。", None),
    "two [DONE]": (stream(HALF, LAST, DONE, DONE), "浙江。", None),
}


def read_sync(transport: BlockingTransport | HttpxTransport, url: str) -> str:
    client = InferenceClient(url, transport=transport, retries=NO_RETRIES, timeout=LIMITS)
    text = "".join(chunk.choices[0].delta.content for chunk in client.chat_stream("m", "q"))
    client.close()
    return text


def read_async(make: Callable[[], Any], url: str) -> str:
    async def read() -> str:
        async with AsyncInferenceClient(url, transport=make, retries=NO_RETRIES, timeout=LIMITS) as client:
            return "".join([chunk.choices[0].delta.content async for chunk in await client.chat_stream("m", "q")])

    return asyncio.run(read())


@pytest.mark.parametrize("client", ["direct-sync", "direct-async", "httpx2-sync", "httpx2-async"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault(fault: str, client: str) -> None:
    act, text, error = FAULTS[fault]
    blocking, direct = BlockingTransport(), DirectTransport()

    def play(peer: Peer) -> None:
        if peer.read_request():
            act(peer)
            peer.wait_closed()

    def read(url: str) -> str:
        if client == "direct-sync":
            return read_sync(blocking, url)
        if client == "direct-async":
            return read_async(lambda: direct, url)
        return read_sync(HttpxTransport(), url) if client == "httpx2-sync" else read_async(AsyncHttpxTransport, url)

    with WireServer(play) as server:
        if error is None:
            assert read(server.url) == text
        else:
            with pytest.raises(error) as caught:
                read(server.url)
            assert type(caught.value) is error
            assert caught.value.partial == text
            assert caught.value.model == "m"
    assert (blocking.pool.in_use, direct.pool.in_use) == (0, 0)
    blocking.close()
