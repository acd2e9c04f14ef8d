"""Calls that fail: the type of the error, the partial text, and retries."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import threading
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from sdk import (
    AsyncInferenceClient,
    AuthenticationError,
    BadRequestError,
    ConfigError,
    ConnectError,
    InferenceClient,
    ModelNotFoundError,
    ProtocolError,
    RetryPolicy,
    SDKError,
    ServerError,
    ServiceUnavailableError,
    StallTimeoutError,
    StatusError,
    StreamServerError,
    StreamTruncatedError,
    Timeouts,
    XRequestConfig,
)
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import CHAT, DONE, LAST, PIECE, STREAM, Api, error


@pytest.mark.parametrize(
    ("events", "kind", "says"),
    [
        ((PIECE,), StreamTruncatedError, "after 1 event without a finish reason"),
        ((PIECE, b'data: {"error":{"message":"died"}}\n\n', DONE), StreamServerError, "died"),
        ((PIECE, b"data: {\n\n"), ProtocolError, "event 2"),
    ],
)
def test_a_stream_that_ends_badly(
    ask: Callable[..., Any], events: tuple[bytes, ...], kind: type[SDKError], says: str
) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: api.stream(peer, *events)
    with WireServer(api.play) as server, pytest.raises(kind, match=says) as caught:
        ask(server.url, request_config=STREAM)
    assert caught.value.partial == "hi"
    assert caught.value.model == "m"
    assert caught.value.url == f"{server.url}/chat/completions"
    assert caught.value.request_id == api.asked[-1][1]["x-request-id"]


@pytest.mark.parametrize(
    ("body", "headers", "kind", "says"),
    [
        (b'{"error":{"message":"under 200"}}', "Content-Type: application/json", StreamServerError, "under 200"),
        (b"<html>gateway</html>", "Content-Type: text/html", ProtocolError, "not JSON: <html>gateway"),
        (CHAT, "Content-Type: application/json", ProtocolError, "did not stream"),
    ],
)
def test_an_answer_that_is_not_a_stream(
    ask: Callable[..., Any], body: bytes, headers: str, kind: type[SDKError], says: str
) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(body, headers=headers)
    with WireServer(api.play) as server, pytest.raises(kind, match=says):
        ask(server.url, request_config=STREAM)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ProtocolError),
        (b"<html>", ProtocolError),
        (b'{"id":1}', ProtocolError),
        (b'{"error":"x"}', StreamServerError),
    ],
)
def test_a_body_that_is_not_an_answer(ask: Callable[..., Any], body: bytes, kind: type[SDKError]) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(body)
    with WireServer(api.play) as server, pytest.raises(kind) as caught:
        ask(server.url)
    assert caught.value.model == "m"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [("400 Bad Request", BadRequestError), ("401 Unauthorized", AuthenticationError), ("500 Oops", ServerError)],
)
def test_statuses(ask: Callable[..., Any], stream: bool, status: str, kind: type[SDKError]) -> None:
    api = Api(m=True)
    api.chat = error(status, "as the server says")
    with WireServer(api.play) as server, pytest.raises(kind, match="as the server says"):
        ask(server.url, request_config=XRequestConfig(stream=stream))


def test_a_wrong_key_is_reported_when_cards_are_fetched(ask: Callable[..., Any]) -> None:
    api = Api()
    api.models = lambda peer: peer.answer(b'{"error":"Unauthorized"}', "401 Unauthorized")
    with WireServer(api.play) as server, pytest.raises(AuthenticationError):
        ask(server.url)


def test_an_unknown_model_error_names_the_known_ones(ask: Callable[..., Any]) -> None:
    api = Api(base=True, tuner=True)
    api.chat = error("404 Not Found", "The model `m` does not exist.", param="model")
    with WireServer(api.play) as server, pytest.raises(ModelNotFoundError, match="served: base, tuner"):
        ask(server.url)


def test_a_busy_server_is_retried() -> None:
    api = Api(m=True)
    busy = iter([True, True, False])

    def chat(peer: Peer, body: Any) -> None:
        if next(busy):
            peer.answer(b"{}", "503 Busy", "Retry-After: 0")
        else:
            peer.answer(CHAT)

    api.chat = chat
    with WireServer(api.play) as server:
        answer = InferenceClient(server.url).chat("m", "q")
    assert answer.choices[0].message.content == "hi"
    assert len(api.paths) == 3


@pytest.mark.parametrize("ahead_s", [-60, 60])
def test_a_server_with_another_clock_is_retried_at_the_right_time(ahead_s: int) -> None:
    api = Api(m=True)
    asked_at: list[float] = []

    def chat(peer: Peer, body: Any) -> None:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            now = time.time() + ahead_s
            peer.answer(b"{}", "503 Busy", f"Date: {formatdate(now)}\r\nRetry-After: {formatdate(now + 1)}")
        else:
            peer.answer(CHAT)

    api.chat = chat
    with WireServer(api.play) as server:
        assert InferenceClient(server.url, timeout=30).chat("m", "q").choices[0].message.content == "hi"
    assert asked_at[1] - asked_at[0] > 0.9


def test_retries_stay_within_the_time_limit() -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(b"{}", "503 Busy", "Retry-After: 3600")
    with WireServer(api.play) as server, pytest.raises(ServiceUnavailableError) as caught:
        InferenceClient(server.url, timeout=30).chat("m", "q")
    assert (caught.value.attempts, caught.value.retry_after_s) == (1, 3600.0)


def test_phase_limits_do_not_prevent_a_retry() -> None:
    api = Api(m=True)
    busy = iter([True, False])
    api.chat = lambda peer, _: peer.answer(b"{}", "503 Busy", "Retry-After: 0.3") if next(busy) else peer.answer(CHAT)
    with WireServer(api.play) as server:
        limits = Timeouts(stall=0.2, connect=0.2)
        assert InferenceClient(server.url, timeout=limits).chat("m", "q").choices[0].message.content == "hi"


@pytest.mark.parametrize(
    "refusal",
    [
        error("400 Bad Request", "no list here"),
        error("500 Oops", "broken"),
        error("501 Not Implemented", "no"),
        error("200 OK", "an error under a good status"),
        lambda peer, _: peer.answer(b"", "307 Temporary Redirect", "Location: /elsewhere"),
    ],
)
def test_a_failing_model_list_does_not_prevent_a_question(
    ask: Callable[..., Any], refusal: Callable[[Peer, Any], None]
) -> None:
    api = Api()
    api.models = lambda peer: refusal(peer, None)
    with WireServer(api.play) as server:
        assert ask(server.url).choices[0].message.content == "hi"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "headers", "body", "says"),
    [
        ("307 Temporary Redirect", "Location: http://there/v1", b"", "HTTP 307.* http://there/v1"),
        ("204 No Content", "X: y", b"", "HTTP 204: the server sent no content"),
        ("200 OK", "Content-Encoding: gzip", b"\x1f\x8b\x08", r"compressed \(gzip\)"),
        ("200 OK", "Content-Type: application/json", b'{"x":' + b"[" * 60_000, "not JSON"),
    ],
)
def test_answers_that_cannot_be_parsed_give_the_reason(
    ask: Callable[..., Any], stream: bool, status: str, headers: str, body: bytes, says: str
) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(body, status, headers)
    with WireServer(api.play) as server, pytest.raises(ProtocolError, match=says):
        ask(server.url, request_config=XRequestConfig(stream=stream))


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("X-Gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data, wbits=-15)),
        ("br", bytes),  # which a proxy only said
    ],
)
def test_an_error_that_a_proxy_compressed_is_read(
    ask: Callable[..., Any], coding: str, compress: Callable[[bytes], bytes]
) -> None:
    api = Api(m=True)
    body = compress(b'{"error":{"message":"out of\nmemory","code":"oom"}}')
    api.chat = lambda peer, _: peer.answer(body, "500 Oops", f"Content-Encoding: {coding}")
    with WireServer(api.play) as server, pytest.raises(StatusError, match=r"HTTP 500: out of\\nmemory") as caught:
        ask(server.url)
    assert caught.value.code == "oom"


def test_an_error_that_cannot_be_decompressed_names_the_compression(ask: Callable[..., Any]) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(b"\x0b\x02\x80\x00\x03", "500 Oops", "Content-Encoding: br")
    with WireServer(api.play) as server, pytest.raises(StatusError, match=r"HTTP 500: \(a body compressed by br\)"):
        ask(server.url)


@pytest.mark.parametrize("coding", ["identity", "identity, identity", "utf-8", "none"])
def test_a_content_encoding_without_compression_is_ignored(ask: Callable[..., Any], coding: str) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(CHAT, headers=f"Content-Encoding: {coding}")
    with WireServer(api.play) as server:
        assert ask(server.url).choices[0].message.content == "hi"


def test_a_stream_with_a_wrong_content_type_is_named_as_such(ask: Callable[..., Any]) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(PIECE + LAST + DONE)
    with WireServer(api.play) as server:
        with pytest.raises(ProtocolError, match="must be text/event-stream"):
            ask(server.url, request_config=XRequestConfig(stream=True))
        with pytest.raises(ProtocolError, match="which the request did not ask for"):
            ask(server.url)


def test_attempts_are_counted() -> None:
    with WireServer(lambda peer: None) as server:
        url = server.url
    client = InferenceClient(url, retries=RetryPolicy(max_retries=1, base_delay_s=0.001))
    with pytest.raises(ConnectError, match="2 attempts") as caught:
        client.chat("m", "q")
    assert caught.value.attempts == 2


def test_a_stalled_stream(ask: Callable[..., Any]) -> None:
    api = Api(m=True)

    def chat(peer: Peer, body: Any) -> None:
        peer.send(HEADERS)
        peer.chunk(PIECE)
        for _ in range(3):
            peer.chunk(b": keep-alive\n\n")
        peer.wait_closed()

    api.chat = chat
    with WireServer(api.play) as server:
        with pytest.raises(StallTimeoutError, match=r"no token arrived for 0\.2 s") as caught:
            ask(server.url, request_config=STREAM, timeout=Timeouts(stall=0.2))
        assert caught.value.partial == "hi"


def test_empty_deltas_do_not_hide_a_stalled_stream(ask: Callable[..., Any]) -> None:
    api = Api(m=True)

    def chat(peer: Peer, _: Any) -> None:
        peer.send(HEADERS)
        peer.chunk(PIECE)
        with contextlib.suppress(OSError):  # until the client has had enough
            while True:
                peer.chunk(b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n')
                time.sleep(0.05)

    api.chat = chat
    with WireServer(api.play) as server:
        with pytest.raises(StallTimeoutError, match=r"no token arrived for 0\.3 s") as caught:
            ask(server.url, request_config=STREAM, timeout=Timeouts(total=20, stall=0.3))
        assert caught.value.partial == "hi"


def test_a_busy_loop_is_not_a_stall_of_the_server() -> None:
    """When the loop resumes, both the token and the limit are due, and one turn of the loop handles both."""
    busy, sent, api = threading.Event(), threading.Event(), Api(m=True)

    def chat(peer: Peer, _: Any) -> None:
        peer.send(HEADERS)
        peer.chunk(PIECE)
        busy.wait(10)
        peer.chunk(PIECE)
        sent.set()
        peer.wait_closed()

    async def main(url: str) -> None:
        async with AsyncInferenceClient(url, timeout=Timeouts(stall=1)) as client:
            stream = await client.chat_stream("m", "q")
            await anext(stream)
            waiting = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            busy.set()
            assert sent.wait(10)
            time.sleep(1.2)  # noqa: ASYNC251 - the loop is to stand still for longer than the limit
            await waiting

    api.chat = chat
    with WireServer(api.play) as server:
        asyncio.run(main(server.url))


def test_a_whole_answer_that_flows_does_not_stall(ask: Callable[..., Any]) -> None:
    api = Api(m=True)

    def chat(peer: Peer, _: Any) -> None:
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(CHAT)}\r\n\r\n".encode())
        for at in range(0, len(CHAT), 20):
            peer.send(CHAT[at : at + 20])
            time.sleep(0.3)

    api.chat = chat
    with WireServer(api.play) as server:
        assert ask(server.url, timeout=Timeouts(stall=1.2)).choices[0].message.content == "hi"


def test_an_endless_page_instead_of_a_stream(ask: Callable[..., Any]) -> None:
    api = Api(m=True)

    def chat(peer: Peer, _: Any) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        with contextlib.suppress(OSError):  # until the client has had enough
            while True:
                peer.send(b"<p>" * 10_000)

    api.chat = chat
    with WireServer(api.play) as server, pytest.raises(ProtocolError, match="<p><p>"):
        ask(server.url, request_config=STREAM)


def test_an_error_status_is_reported_even_if_its_body_breaks_off(ask: Callable[..., Any]) -> None:
    api = Api(m=True)

    def chat(peer: Peer, _: Any) -> None:
        peer.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\nthe beginning")
        peer.close()

    api.chat = chat
    with WireServer(api.play) as server, pytest.raises(ServerError, match="HTTP 500: the beginning"):
        ask(server.url)


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"audios": ["a.wav"]}, ConfigError, "audios"),
        ({"videos": ["a.mp4"]}, ConfigError, "videos"),
        ({"images": [b"x"], "is_multimodal": False}, ConfigError, "images"),
        ({"request_config": {"seed": 1}}, ConfigError, "request_config: dict is not an XRequestConfig"),
        ({"port": "x"}, ConfigError, "port: 'x'"),
        ({"timeout": "soon"}, ConfigError, "timeout: 'soon'"),
        ({"timeout": {"total": 5}}, ConfigError, "timeout: {'total': 5}"),
        ({"tiemout": 1}, TypeError, "tiemout"),
        ({"history": ["x"]}, ConfigError, r"history\[0\]"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_sent(
    ask: Callable[..., Any], arguments: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        ask(**{"url": None if "port" in arguments else "http://127.0.0.1:9/v1", "is_chat_request": True} | arguments)
