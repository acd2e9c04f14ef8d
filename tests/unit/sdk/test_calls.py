"""The functions and the clients, against a server that plays literal bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sdk import (
    AsyncInferenceClient,
    BadRequestError,
    ConfigError,
    ConnectError,
    InferenceClient,
    XRequestConfig,
    get_model_list_client,
    get_model_list_client_async,
    inference_client,
    inference_client_async,
)
from sdk.transport.fake import FakeAnswer, FakeTransport
from sdk.types import ChatCompletionResponse, CompletionResponse
from tests.support.wire import Peer, WireServer
from tests.unit.sdk.api import CHAT, DONE, STREAM, TEXT, Api, error


def test_the_model_list() -> None:
    api = Api(base=True, adapter=None)
    with WireServer(api.play) as server:
        models = get_model_list_client(port=server.port, api_key="k")
        again = asyncio.run(get_model_list_client_async(port=str(server.port), api_key="k"))
    assert [(card.id, card.is_chat) for card in models.data] == [("base", True), ("adapter", None)]
    assert again == models
    assert [headers["authorization"] for _, headers, _ in api.asked] == ["Bearer k"] * 2


def test_chat_is_the_default_and_cards_are_fetched_once(ask: Callable[..., Any]) -> None:
    api = Api(m=None)
    with WireServer(api.play) as server:
        for _ in range(3):
            answer = ask(server.url)
            assert isinstance(answer, ChatCompletionResponse)
            assert answer.choices[0].message.content == "hi"
    assert api.paths == ["/models", *["/chat/completions"] * 3]
    assert api.body == {"model": "m", "messages": [{"role": "user", "content": "q"}]}


def test_the_card_of_a_base_model_selects_completion(ask: Callable[..., Any]) -> None:
    api = Api(m=False)
    with WireServer(api.play) as server:
        answer = ask(server.url, request_config=XRequestConfig(max_tokens=3, logprobs=True, top_logprobs=2))
    assert isinstance(answer, CompletionResponse)
    assert answer.choices[0].text == "hi"
    assert api.body == {"model": "m", "prompt": "q", "max_tokens": 3, "logprobs": 2}


@pytest.mark.parametrize("name", ["is_chat_request", "is_chat"])
def test_an_explicit_choice_needs_no_cards_and_may_be_false(ask: Callable[..., Any], name: str) -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        assert isinstance(ask(server.url, **{name: False}), CompletionResponse)
        assert isinstance(ask(server.url, **{name: True}), ChatCompletionResponse)
    assert api.paths == ["/completions", "/chat/completions"]


def test_a_server_without_a_model_list_answers_questions(ask: Callable[..., Any]) -> None:
    api = Api()
    api.models = lambda peer: peer.answer(b'{"detail":"Not Found"}', "404 Not Found")
    with WireServer(api.play) as server:
        ask(server.url)
        ask(server.url)
    assert api.paths == ["/models", "/chat/completions", "/chat/completions"]


def test_a_model_without_a_chat_template_is_remembered(ask: Callable[..., Any]) -> None:
    api = Api(m=None)
    api.chat = error("400 Bad Request", "you must provide a chat template if the tokenizer does not define one")
    with WireServer(api.play) as server:
        assert isinstance(ask(server.url), CompletionResponse)
        assert isinstance(ask(server.url), CompletionResponse)
        assert api.paths == ["/models", "/chat/completions", "/completions", "/completions"]
        with pytest.raises(ConfigError, match="history: 'm' completes text"):
            ask(server.url, history=[("a", "b")])
        with pytest.raises(BadRequestError):
            ask(server.url, is_chat_request=True)


def test_streams(ask: Callable[..., Any]) -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        chunks = ask(server.url, request_config=STREAM)
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "hi!"
    assert api.body["stream_options"] == {"include_usage": True}


def test_the_facts_of_a_stream() -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        with inference_client("m", "q", url=server.url, request_config=STREAM) as stream:
            assert (stream.text, stream.usage, stream.finish_reason) == ("", None, None)
            for _ in stream:
                pass
        assert (stream.text, stream.finish_reason, stream.texts) == ("hi!", "stop", ["hi!"])
        assert stream.usage is not None
        assert stream.usage.completion_tokens == 2
        assert stream.request_id == api.asked[-1][1]["x-request-id"]
        assert repr(stream) == f"<Stream m ended, 3 characters, request {stream.request_id}>"
        assert list(stream) == []


def test_stream_options_are_dropped_for_a_server_that_rejects_them(ask: Callable[..., Any]) -> None:
    api = Api(m=True)

    def chat(peer: Peer, body: Any) -> None:
        if "stream_options" in body:
            error("400 Bad Request", "Unrecognized request argument: stream_options")(peer, body)
        else:
            api.stream(peer)

    api.chat = chat
    with WireServer(api.play) as server:
        assert len(ask(server.url, request_config=STREAM)) == 2
        assert len(ask(server.url, request_config=STREAM)) == 2
        assert api.paths == ["/models", *["/chat/completions"] * 3]
        with pytest.raises(BadRequestError, match="stream_options"):
            ask(server.url, request_config=XRequestConfig(stream=True, stream_options={"include_usage": True}))


def test_an_adapter_that_was_loaded_later_is_found(ask: Callable[..., Any]) -> None:
    api = Api(base=True, m=True)

    def chat(peer: Peer, body: Any) -> None:
        if len(api.paths) == 3:  # unloaded for a moment
            error("404 Not Found", "The model `m` does not exist.", param="model")(peer, body)
        else:
            peer.answer(CHAT)

    api.chat = chat
    with WireServer(api.play) as server:
        ask(server.url)
        ask(server.url)
    assert api.paths == ["/models", "/chat/completions", "/chat/completions", "/models", "/chat/completions"]


def test_a_proxy_of_the_environment_is_used(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def proxy(peer: Peer) -> None:
        while request := peer.read_request():
            seen.append(request.split(b"\r\n")[0])
            peer.answer(CHAT)

    with WireServer(proxy) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
        ask("http://somewhere.invalid/v1", is_chat_request=True)
        assert seen == [b"POST http://somewhere.invalid/v1/chat/completions HTTP/1.1"]
        monkeypatch.setenv("no_proxy", "elsewhere.invalid")
        with pytest.raises(ConnectError, match="does not resolve"):
            ask("http://elsewhere.invalid/v1", is_chat_request=True)


def test_clients_with_exact_types() -> None:
    api = Api()
    api.completion = lambda peer, body: (
        api.stream(peer, b'data: {"choices":[{"text":"hi","finish_reason":"stop"}]}\n\n', DONE)
        if body.get("stream")
        else peer.answer(TEXT)
    )

    async def all_of_them(url: str) -> list[str]:
        async with AsyncInferenceClient(url, headers={"X-Team": "a"}) as client:
            stream = await client.chat_stream("m", "q", temperature=0)
            texts = await client.complete_stream("m", "q")
            return [
                (await client.chat("m", [{"role": "user", "content": "q"}], top_k=3)).choices[0].message.content,
                "".join([chunk.choices[0].delta.content async for chunk in stream]),
                (await client.complete("m", "q")).choices[0].text,
                "".join([chunk.choices[0].text async for chunk in texts]),
            ]

    with WireServer(api.play) as server:
        assert asyncio.run(all_of_them(server.url)) == ["hi", "hi!", "hi", "hi"]
        assert {headers["x-team"] for _, headers, _ in api.asked} == {"a"}
        with InferenceClient(server.url, api_key=None) as client:
            assert client.chat("m", "q", config=XRequestConfig(seed=1, stream=True), seed=2).choices
            assert api.body == {
                "model": "m",
                "messages": [{"role": "user", "content": "q"}],
                "seed": 2,
                "stream": False,
            }
            assert [chunk.choices[0].text for chunk in client.complete_stream("m", "q")] == ["hi"]
            assert client.complete("m", "q").choices[0].text == "hi"
            assert "".join(chunk.choices[0].delta.content for chunk in client.chat_stream("m", "q")) == "hi!"
            assert "authorization" not in api.asked[-1][1]


def test_tools_and_headers() -> None:
    api = Api(m=True)
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    with WireServer(api.play) as server:
        config = XRequestConfig(extra_headers={"X-Request-Id": "mine"}, extra_body={"new": 1})
        inference_client("m", "q", None, "s", None, [tool], "required", url=server.url, request_config=config)
        assert (api.body["tools"], api.body["tool_choice"], api.body["new"]) == ([tool], "required", 1)
        assert api.asked[-1][1]["x-request-id"] == "mine"
        inference_client("m", "q", tools=[tool], url=server.url)
        assert "tool_choice" not in api.body


def headers_sent(asked: bytes) -> list[tuple[str, str]]:
    lines = asked.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]


def test_the_callers_headers_replace_ours() -> None:
    heads: list[bytes] = []

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            heads.append(request)
            peer.answer(CHAT)

    with WireServer(play) as server:
        client = InferenceClient(server.url, headers={"authorization": "Basic x", "X-Team": "a", "X-Request-ID": "1"})
        client.chat("m", "q", extra_headers={"x-team": "b", "Content-Type": "application/json; charset=utf-8"})
        client.close()
    sent = headers_sent(heads[0])
    names = [name for name, _ in sent]
    assert len(set(names)) == len(names)
    wanted = {"authorization": "Basic x", "x-team": "b", "x-request-id": "1"}
    assert wanted.items() <= dict(sent).items()
    assert dict(sent)["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Host", "Connection"])
def test_a_caller_may_not_set_framing_headers(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        InferenceClient("http://127.0.0.1:9", headers={name: "1"})
    with pytest.raises(ConfigError, match=name):
        InferenceClient("http://127.0.0.1:9").chat("m", "q", extra_headers={name: "1"})


def test_headers_are_a_mapping_or_pairs() -> None:
    transport = FakeTransport(lambda _: FakeAnswer(200, [CHAT]))
    InferenceClient(transport=transport, headers=[("X-Team", "a")]).chat("m", "q")  # type: ignore[arg-type]
    assert ("X-Team", "a") in transport.requests[0].headers
    for headers in (["X-Team"], 3, {1: "a"}):
        with pytest.raises(ConfigError, match="headers: "):
            InferenceClient(headers=headers)  # type: ignore[arg-type]


def test_numbers_that_are_not_finite_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="temperature"):
        XRequestConfig(temperature=float("inf"))
    client = InferenceClient("http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"options\.bias\[1\]: nan"):
        client.chat("m", "q", extra_body={"options": {"bias": [0.0, float("nan")]}})
    api = Api()
    with WireServer(api.play) as server:
        InferenceClient(server.url).chat("m", "Is NaN a number, is Infinity?")
    assert api.body["messages"][0]["content"] == "Is NaN a number, is Infinity?"


def test_a_method_refuses_another_stream_or_config() -> None:
    client = InferenceClient("http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="chat_stream"):
        client.chat("m", "q", stream=True)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="extra_body: stream=True"):
        client.chat("m", "q", extra_body={"stream": True})
    with pytest.raises(ConfigError, match="config: dict"):
        client.chat("m", "q", config={"seed": 1})  # type: ignore[arg-type]


def test_arguments_are_copied_when_the_call_is_made() -> None:
    api = Api(m=True)
    history, config = [["a", "b"]], XRequestConfig(stop=["x"], extra_body={"vendor": {"a": 1}})
    with WireServer(api.play) as server:
        call = inference_client_async("m", "q", history, url=server.url, request_config=config)
        history.append(["c", "d"])
        assert config.stop is not None
        config.stop.append("y")
        assert config.extra_body is not None
        config.extra_body["vendor"]["a"] = 2
        asyncio.run(call)
    assert (len(api.body["messages"]), api.body["stop"], api.body["vendor"]) == (3, ["x"], {"a": 1})


def test_a_given_transport_survives_close() -> None:
    transport = FakeTransport(lambda _: FakeAnswer(200, [CHAT]))
    with InferenceClient("http://nowhere.invalid", transport=transport) as client:
        client.chat("m", "q")
    assert client.chat("m", "q").choices[0].message.content == "hi"
    assert len(transport.requests) == 2
