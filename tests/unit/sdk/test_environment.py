"""Server and key from the environment, and their precedence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sdk import (
    AsyncInferenceClient,
    AuthenticationError,
    ConfigError,
    ConnectError,
    InferenceClient,
    get_model_list_client,
    inference_client,
)
from tests.support.wire import WireServer
from tests.unit.sdk.api import Api, error


def keys_sent(api: Api) -> list[str | None]:
    return [headers.get("authorization") for _, headers, _ in api.asked]


def test_the_environment_names_server_and_key(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        ask(None)
        InferenceClient().chat("m", "q")
        get_model_list_client()
        assert str(AsyncInferenceClient().address) == server.url
    assert set(keys_sent(api)) == {"Bearer k"}
    assert len(api.asked) == 4


def test_arguments_take_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    api, other = Api(m=True), Api(m=True)
    with WireServer(api.play) as server, WireServer(other.play) as named:
        monkeypatch.setenv("OPENAI_BASE_URL", named.url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        get_model_list_client(url=server.url)
        get_model_list_client(host="127.0.0.1", port=server.port)
        get_model_list_client(port=server.port)
        InferenceClient(server.url).models()
        assert keys_sent(api) == ["Bearer k"] * 4
        assert str(InferenceClient(host="there").address) == "http://there:8000/v1"
        get_model_list_client(api_key="mine")
        get_model_list_client(api_key="EMPTY")
        get_model_list_client(api_key=None)
        get_model_list_client()
        assert keys_sent(other) == ["Bearer mine", "Bearer EMPTY", None, "Bearer k"]


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    api, other = Api(m=True), Api(m=True)
    with WireServer(api.play) as one, WireServer(other.play) as two:
        for url, key in ((one.url, "a"), (two.url, "b"), (two.url, "c")):
            monkeypatch.setenv("OPENAI_BASE_URL", url)
            monkeypatch.setenv("OPENAI_API_KEY", key)
            inference_client("m", "q", is_chat_request=True)
    assert keys_sent(api) == ["Bearer a"]
    assert keys_sent(other) == ["Bearer b", "Bearer c"]


def test_the_default_server_is_this_machine() -> None:
    assert str(InferenceClient().address) == "http://127.0.0.1:8000/v1"


def test_an_invalid_address_is_reported_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "ftp://there")
    with pytest.raises(ConfigError, match=r"^OPENAI_BASE_URL: 'ftp://there' is not an http"):
        InferenceClient()
    InferenceClient("http://there")


@pytest.mark.parametrize(
    ("environment", "arguments", "says"),
    [
        ({}, {}, "no API key was given; pass api_key or set OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "k"}, {}, "the key came from OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://there"}, {}, "the key came from OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": " "}, {}, "no API key was given; pass api_key or set OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": "k"}, {"api_key": "mine"}, None),
        ({}, {"api_key": None}, None),
    ],
)
def test_a_rejected_key_is_reported_with_its_origin(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], arguments: dict[str, Any], says: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    api = Api(m=True)
    api.chat = error("401 Unauthorized", "who are you?")
    with WireServer(api.play) as server, pytest.raises(AuthenticationError) as caught:
        InferenceClient(server.url, **arguments).chat("m", "q")
    assert caught.value.message == "HTTP 401: who are you?" + (f" ({says})" if says else "")
    assert caught.value.server_message == "who are you?"


def test_a_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "top-secret")
    client = InferenceClient("http://127.0.0.1:9")
    assert "top-secret" not in repr(client)
    with pytest.raises(ConnectError) as caught:
        client.chat("m", "q")
    assert "top-secret" not in str(caught.value)
