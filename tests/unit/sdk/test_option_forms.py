"""The two endpoints have some options under different names or in different forms: each gets its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sdk import ConfigError, InferenceClient, XRequestConfig, inference_client
from tests.support.wire import WireServer
from tests.unit.sdk.api import Api

# (what is set, what a chat sends, what a completion sends)
FORMS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 9}, {"max_tokens": 9}, {"max_tokens": 9}),
    ({"max_completion_tokens": 9}, {"max_completion_tokens": 9}, {"max_tokens": 9}),
    (
        {"max_tokens": 9, "max_completion_tokens": 9},
        {"max_tokens": 9, "max_completion_tokens": 9},
        {"max_tokens": 9},
    ),
    ({"logprobs": 2}, {"logprobs": True, "top_logprobs": 2}, {"logprobs": 2}),
    ({"logprobs": 1}, {"logprobs": True, "top_logprobs": 1}, {"logprobs": 1}),
    ({"logprobs": 0}, {"logprobs": True, "top_logprobs": 0}, {"logprobs": 0}),
    ({"logprobs": -1}, {"logprobs": True, "top_logprobs": -1}, {"logprobs": -1}),
    ({"logprobs": 2, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}, {"logprobs": 2}),
    ({"logprobs": True}, {"logprobs": True}, {"logprobs": 0}),
    ({"logprobs": True, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}, {"logprobs": 3}),
    ({"logprobs": False}, {"logprobs": False}, {}),
    ({"logprobs": False, "top_logprobs": 3}, {"logprobs": False, "top_logprobs": 3}, {}),
    ({"top_logprobs": 3}, {"top_logprobs": 3}, {"logprobs": 3}),
    ({"logprobs": None}, {}, {}),
    (
        {"extra_body": {"logprobs": 2, "max_completion_tokens": 9}},
        {"logprobs": 2, "max_completion_tokens": 9},
        {"logprobs": 2, "max_completion_tokens": 9},
    ),
    ({"extra_body": {"logprobs": True}, "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}, {"logprobs": True}),
]


@pytest.mark.parametrize(("fields", "chat", "completion"), FORMS)
def test_each_endpoint_gets_its_own_form(
    ask: Callable[..., Any], fields: dict[str, Any], chat: dict[str, Any], completion: dict[str, Any]
) -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        for is_chat, sent in ((True, chat), (False, completion)):
            ask(server.url, is_chat_request=is_chat, request_config=XRequestConfig(**fields))
            told = {name: value for name, value in api.body.items() if name not in ("model", "messages", "prompt")}
            assert told == sent
            assert [type(value) for value in told.values()] == [type(value) for value in (sent[name] for name in told)]


@pytest.mark.parametrize(
    ("is_chat", "fields", "says"),
    [
        (True, {"logprobs": 2, "top_logprobs": 3}, "logprobs: 2, but top_logprobs is 3"),
        (False, {"logprobs": 2, "top_logprobs": 3}, "logprobs: 2, but top_logprobs is 3"),
        (False, {"max_tokens": 5, "max_completion_tokens": 9}, "max_completion_tokens: 9, but max_tokens is 5"),
    ],
)
def test_two_names_of_one_thing_must_agree(is_chat: bool, fields: dict[str, Any], says: str) -> None:
    client = InferenceClient("http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=says):
        (client.chat if is_chat else client.complete)("m", "q", **fields)


@pytest.mark.parametrize("value", ["yes", "2", 2.5, -2, [1]])
def test_log_probabilities_are_true_false_or_a_number(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"logprobs: .* true, false or a number of alternatives"):
        XRequestConfig(logprobs=value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("temperature", r"request_config=XRequestConfig\(temperature=…\)"),
        ("stream", r"request_config=XRequestConfig\(stream=…\)"),
        ("base_url", "did you mean url"),
        ("config", "did you mean request_config"),
        ("frobnicate", "known: host, port"),
    ],
)
def test_the_error_for_an_unknown_argument_names_its_place(name: str, says: str) -> None:
    with pytest.raises(TypeError, match=f"{name}.*{says}"):
        inference_client("m", "q", **{name: 1})  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "fields",
    [
        {"images": "a.png"},
        {"images": b"\x89PNG"},
        {"tools": {"type": "function", "function": {"name": "f"}}},
        {"tools": "f"},
    ],
)
def test_a_single_item_instead_of_a_list_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"is not a list .*; put it into brackets"):
        InferenceClient("http://127.0.0.1:1").chat("m", "q", **fields)
