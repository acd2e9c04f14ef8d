"""Calls that fail: the right typed error, what had come, and when one is tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sdk import (
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
    StreamServerError,
    StreamTruncatedError,
    Timeouts,
    XRequestConfig,
)
from tests.support.wire import HEADERS, Peer, WireServer
from tests.unit.sdk.api import CHAT, DONE, PIECE, STREAM, Api, error


@pytest.mark.parametrize(
    ("events", "kind", "says"),
    [
        ((PIECE,), StreamTruncatedError, "after 1 events without a finish reason"),
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
def test_a_stream_that_is_none(
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
def test_an_answer_that_is_none(ask: Callable[..., Any], body: bytes, kind: type[SDKError]) -> None:
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


def test_a_wrong_key_says_so_even_when_cards_are_asked(ask: Callable[..., Any]) -> None:
    api = Api()
    api.models = lambda peer: peer.answer(b'{"error":"Unauthorized"}', "401 Unauthorized")
    with WireServer(api.play) as server, pytest.raises(AuthenticationError):
        ask(server.url)


def test_an_unknown_model_names_those_served(ask: Callable[..., Any]) -> None:
    api = Api(base=True, tuner=True)
    api.chat = error("404 Not Found", "The model `m` does not exist.", param="model")
    with WireServer(api.play) as server, pytest.raises(ModelNotFoundError, match="served: base, tuner"):
        ask(server.url)


def test_a_busy_server_is_asked_again() -> None:
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


def test_retries_stay_within_the_time_limit() -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(b"{}", "503 Busy", "Retry-After: 3600")
    with WireServer(api.play) as server, pytest.raises(ServiceUnavailableError) as caught:
        InferenceClient(server.url, timeout=30).chat("m", "q")
    assert (caught.value.attempts, caught.value.retry_after_s) == (1, 3600.0)


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
        with pytest.raises(StallTimeoutError, match=r"no token for 0\.2 s") as caught:
            ask(server.url, request_config=STREAM, timeout=Timeouts(stall=0.2))
        assert caught.value.partial == "hi"


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        ({"audios": ["a.wav"]}, ConfigError, "audios"),
        ({"videos": ["a.mp4"]}, ConfigError, "videos"),
        ({"images": [b"x"], "is_multimodal": False}, ConfigError, "images"),
        ({"request_config": {"seed": 1}}, ConfigError, "request_config: dict is not an XRequestConfig"),
        ({"port": "x"}, ConfigError, "port: 'x'"),
        ({"timeout": "soon"}, ConfigError, "timeout: 'soon'"),
        ({"tiemout": 1}, TypeError, "tiemout"),
        ({"history": ["x"]}, ConfigError, r"history\[0\]"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_sent(
    ask: Callable[..., Any], arguments: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        ask(**{"url": None if "port" in arguments else "http://127.0.0.1:9/v1", "is_chat_request": True} | arguments)
