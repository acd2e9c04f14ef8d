"""The errors for a wrong address: the server's words, the address, and what to try."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from sdk import (
    InferenceClient,
    ModelNotFoundError,
    NotFoundError,
    ProtocolError,
    SDKError,
    StatusError,
    XRequestConfig,
    get_model_list_client,
    get_model_list_client_async,
)
from tests.support.serving import serving, simulated_engine
from tests.support.wire import WireServer
from tests.unit.sdk.api import CHAT, Api

BOM = b"\xef\xbb\xbf"
HTML = b"<!DOCTYPE html>\n<html><head><title>404\n Not Found</title></head><body>nginx</body></html>"


@pytest.mark.parametrize("path", ["/nope", "/v1/nope", "/nope/v1"])
def test_a_missing_model_list_is_reported_with_the_address(path: str) -> None:
    with serving(simulated_engine()) as served:
        asks = [
            lambda url: get_model_list_client(url=url),
            lambda url: InferenceClient(url).models(),
            lambda url: asyncio.run(get_model_list_client_async(url=url)),
        ]
        for ask in asks:
            with pytest.raises(NotFoundError, match="check the base URL") as caught:
                ask(served.root + path)
            assert type(caught.value) is NotFoundError
            assert f"GET {served.root}{path}/models" in caught.value.message
            assert f"{served.root}/v1" in caught.value.message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "content_type", "body", "says"),
    [
        ("404 Not Found", "application/json", b'{"detail":"Not Found"}', "Not Found"),
        ("404 Not Found", "application/json", b'{"error":{"message":"Invalid URL (POST /v1/x)"}}', "Invalid URL"),
        ("404 Not Found", "application/json", b'{"error":"no path /v1/models"}', "no path /v1/models"),
        (
            "404 Not Found",
            "application/json",
            b'{"object":"error","message":"nothing here","code":404}',
            "nothing here",
        ),
        ("404 Not Found", "application/json", BOM + b'{"detail":"Not Found"}', "for POST .*: Not Found;"),
        ("404 Not Found", "text/plain", b"404 page not found", "404 page not found"),
        ("404 Not Found", "text/html", HTML, r"404 Not Found \(a web page\)"),
        ("404 Not Found", "text/plain", b"", r"\(no body\)"),
        ("405 Method Not Allowed", "application/json", b'{"detail":"Method Not Allowed"}', "Method Not Allowed"),
    ],
)
def test_a_missing_endpoint_is_reported_with_the_address(
    ask: Callable[..., Any], stream: bool, status: str, content_type: str, body: bytes, says: str
) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(body, status, f"Content-Type: {content_type}")
    with WireServer(api.play) as server, pytest.raises(StatusError, match=says) as caught:
        ask(server.url, request_config=XRequestConfig(stream=stream))
    assert not isinstance(caught.value, ModelNotFoundError)
    assert f"POST {server.url}/chat/completions" in caught.value.message
    assert f"is the API of this server at {server.url}?" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "The model `m` does not exist.", "param": "model"}},
        {"error": {"message": "no such thing", "code": "model_not_found"}},
        {"error": {"message": "no such thing", "type": "ModelNotFound"}},
        {"error": 'model "m" not found, try pulling it first'},
        {"detail": "Adapter m is not loaded"},
        {"object": "error", "message": "The model does not exist", "code": 404},
    ],
)
def test_a_missing_model_is_distinct_from_a_wrong_address(ask: Callable[..., Any], body: dict[str, Any]) -> None:
    api = Api(other=True)
    api.chat = lambda peer, _: peer.answer(json.dumps(body).encode(), "404 Not Found")
    with WireServer(api.play) as server, pytest.raises(ModelNotFoundError, match="served: other") as caught:
        ask(server.url)
    assert "base URL" not in caught.value.message


def test_a_404_that_names_the_model_is_about_the_model(ask: Callable[..., Any]) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(b'{"detail":"unknown: my-tuner"}', "404 Not Found")
    with WireServer(api.play) as server, InferenceClient(server.url) as client, pytest.raises(ModelNotFoundError):
        client.chat("my-tuner", "q")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("/api/v1/chat/completions", "give http://127.0.0.1:PORT/api/v1 as the base URL"),
        ("https://there/v1/chat/completions?x=1", "give https://there/v1 as the base URL"),
        ("/login", "to http://127.0.0.1:PORT/login, .* give the address of the API itself"),
        ("http://[", "the address of the API itself"),
        ("", "without naming a target; check the base URL"),
    ],
)
def test_a_redirect_error_gives_the_remedy(ask: Callable[..., Any], stream: bool, location: str, says: str) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(
        b"", "307 Temporary Redirect", f"Location: {location}" if location else "X: y"
    )
    with WireServer(api.play) as server, pytest.raises(ProtocolError) as caught:
        ask(server.url, request_config=XRequestConfig(stream=stream))
    caught.match(says.replace("PORT", str(server.port)))
    assert f"redirects {server.url}/chat/completions" in caught.value.message


@pytest.mark.parametrize(
    ("content_type", "body", "says"),
    [
        ("text/html", HTML, r"a web page, not JSON: 404 Not Found \(a web page\); check the base URL"),
        ("application/json", b"<html>gateway", "a web page, not JSON: <html>gateway; check the base URL"),
        ("application/json", b"", "the answer is empty; check the base URL"),
        ("application/json", b"  \n", "the answer is empty"),
        ("text/plain", b"hello there", "the answer is not JSON: hello there"),
        ("text/event-stream", b'data: {"choices":[]}\n\n', "a stream of events, which the request did not ask for"),
    ],
)
def test_the_error_for_a_body_that_is_not_an_answer_names_its_kind(
    ask: Callable[..., Any], content_type: str, body: bytes, says: str
) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(body, headers=f"Content-Type: {content_type}")
    with WireServer(api.play) as server, pytest.raises(ProtocolError, match=says) as caught:
        ask(server.url)
    assert caught.value.url == f"{server.url}/chat/completions"


def test_a_byte_order_mark_before_an_answer_is_skipped(ask: Callable[..., Any]) -> None:
    api = Api()
    api.models = lambda peer: peer.answer(BOM + b'{"object":"list","data":[{"id":"m","is_chat":true}]}')
    api.chat = lambda peer, _: peer.answer(BOM + CHAT)
    with WireServer(api.play) as server:
        assert ask(server.url).choices[0].message.content == "hi"
        assert get_model_list_client(url=server.url).data[0].id == "m"


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_a_byte_order_mark_before_an_error_instead_of_a_stream(ask: Callable[..., Any], content_type: str) -> None:
    api = Api(m=True)
    api.chat = lambda peer, _: peer.answer(BOM + b'{"error":"gone"}', headers=f"Content-Type: {content_type}")
    with WireServer(api.play) as server, pytest.raises(SDKError, match="reported an error: gone"):
        ask(server.url, request_config=XRequestConfig(stream=True))
