"""`chat`, `chat_stream`, `complete`, `complete_stream` accept the arguments of the functions."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from sdk import AsyncInferenceClient, ConfigError, InferenceClient, XRequestConfig, inference_client
from sdk.functions import Options, Where
from tests.support.wire import WireServer
from tests.unit.sdk.api import Api

METHODS = ["chat", "chat_stream", "complete", "complete_stream"]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
# names that a method has for what the functions have under another
RENAMED = {"model_type": "model", "query": "messages"}
# not of a method: the client says where, the method says whether it chats, and media are refused
ELSEWHERE = {"host", "port", "api_key", "url", "is_chat", "is_chat_request", "audios", "videos", "options"}


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    return {name: one for name, one in inspect.signature(function).parameters.items() if name != "self"}


@pytest.mark.parametrize("method", ["chat", "chat_stream"])
def test_chat_accepts_every_argument_of_the_functions(method: str) -> None:
    ours, theirs = parameters(getattr(InferenceClient, method)), parameters(inference_client)
    for name, one in theirs.items():
        if name not in ELSEWHERE:
            mine = ours[RENAMED.get(name, name)]
            assert (mine.kind, mine.default) == (one.kind, one.default)
            assert mine.annotation == one.annotation or name in ("images", "tools", "request_config")
    assert {*Options.__annotations__} - ELSEWHERE <= {*ours}
    assert {*Where.__annotations__} - ELSEWHERE == {"timeout"}
    in_order = [RENAMED.get(name, name) for name, one in theirs.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert [name for name, one in ours.items() if one.kind is one.POSITIONAL_OR_KEYWORD] == in_order


@pytest.mark.parametrize("method", [*METHODS, "infer", "models"])
def test_both_clients_accept_the_same_arguments(method: str) -> None:
    assert parameters(getattr(InferenceClient, method)) == parameters(getattr(AsyncInferenceClient, method))


@pytest.mark.parametrize(("one", "other"), [("chat", "chat_stream"), ("complete", "complete_stream")])
def test_the_stream_methods_accept_the_same_arguments(one: str, other: str) -> None:
    assert parameters(getattr(InferenceClient, one)) == parameters(getattr(InferenceClient, other))


@pytest.mark.parametrize("method", ["chat", "chat_stream"])
@pytest.mark.parametrize("is_async", [False, True])
def test_every_argument_reaches_the_server(method: str, is_async: bool) -> None:
    api = Api(m=True)
    arguments: dict[str, Any] = {
        "history": [("a", "b")],
        "system": "s",
        "images": ["https://example.com/a.png"],
        "tools": [TOOL],
        "tool_choice": "required",
        "roles": [("user", "assistant"), ("tool", "assistant")],
        "is_multimodal": True,
        "response_format": {"type": "json_object"},
        "request_config": XRequestConfig(seed=1, max_tokens=3),
        "max_tokens": 4,
    }
    with WireServer(api.play) as server:
        if is_async:

            async def ask() -> None:
                async with AsyncInferenceClient(server.url) as client:
                    await getattr(client, method)("m", "q", **arguments)

            asyncio.run(ask())
        else:
            getattr(InferenceClient(server.url), method)("m", "q", **arguments)
    assert {**api.body, "stream": None, "stream_options": None} == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {
                "role": "tool",
                "content": [
                    {"type": "text", "text": "q"},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                ],
            },
        ],
        "tools": [TOOL],
        "tool_choice": "required",
        "response_format": {"type": "json_object"},
        "seed": 1,
        "max_tokens": 4,
        "stream": None,
        "stream_options": None,
    }


@pytest.mark.parametrize(
    ("method", "arguments", "says"),
    [
        ("chat", {"stream": True}, "stream: chat"),
        ("chat", {"config": XRequestConfig(), "request_config": XRequestConfig()}, "give one of the two"),
        ("chat", {"request_config": {"seed": 1}}, "dict is not an XRequestConfig"),
        ("chat", {"images": [b"x"], "is_multimodal": False}, "images: is_multimodal=False"),
        ("chat", {"tool_choice": "required"}, "tool_choice: 'required' .* give tools"),
        ("chat", {"audios": ["a.wav"]}, "audios: requests cannot carry them; pass the content parts"),
        ("chat", {"histroy": []}, "histroy: .*did you mean history?"),
        ("chat", {"temprature": 1}, "temprature: .*did you mean temperature?"),
        ("chat", {"store": True}, r"store: .*extra_body=\{'store': …\}"),
        ("complete", {"tools": [TOOL]}, "tools: a completion has .* use chat"),
        ("complete_stream", {"system": "s"}, "system: a completion has .* use chat"),
        ("complete", {"max_token": 1}, "max_token: .*did you mean max_tokens?"),
    ],
)
def test_wrong_arguments_are_named(method: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        getattr(InferenceClient("http://127.0.0.1:9"), method)("m", "q", **arguments)
