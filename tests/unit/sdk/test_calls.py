"""The page's functions and the clients under them, against a server that plays literal bytes."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Callable
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
    StreamServerError,
    StreamTruncatedError,
    Timeouts,
    XRequestConfig,
    get_model_list_client,
    get_model_list_client_async,
    inference_client,
    inference_client_async,
)
from sdk.stream import AsyncStream, Stream
from sdk.types import ChatCompletionResponse, CompletionResponse
from tests.support.wire import HEADERS, Peer, WireServer

CHAT = b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
TEXT = b'{"id":"t","choices":[{"index":0,"text":"hi","finish_reason":"stop"}]}'
PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


class Api:
    """Answers like an API, by path; keeps what was asked."""

    def __init__(self, **cards: bool | None) -> None:
        self.cards: dict[str, bool | None] = cards
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.chat: Callable[[Peer, Any], None] = lambda peer, body: (
            self.stream(peer) if body.get("stream") else peer.answer(CHAT)
        )
        self.completion: Callable[[Peer, Any], None] = lambda peer, body: peer.answer(TEXT)
        self.models: Callable[[Peer], None] = self._models

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    @property
    def body(self) -> Any:
        return self.asked[-1][2]

    def play(self, peer: Peer) -> None:
        while request := peer.read_request():
            head, _, body = request.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            path = first.split()[1].removeprefix("/v1")
            self.asked.append((path, headers, json.loads(body) if body else None))
            if path == "/models":
                self.models(peer)
            elif path == "/chat/completions":
                self.chat(peer, self.body)
            else:
                self.completion(peer, self.body)

    def _models(self, peer: Peer) -> None:
        cards = [{"id": name} | ({} if chat is None else {"is_chat": chat}) for name, chat in self.cards.items()]
        peer.answer(json.dumps({"object": "list", "data": cards}).encode())

    @staticmethod
    def stream(peer: Peer, *events: bytes) -> None:
        peer.send(HEADERS)
        for event in events or (PIECE, LAST, USAGE, DONE):
            peer.chunk(event)
        peer.end()


def error(status: str, message: str, **more: object) -> Callable[[Peer, Any], None]:
    body = json.dumps({"error": {"message": message, "param": None, "type": "x", "code": None} | more}).encode()
    return lambda peer, _: peer.answer(body, status)


def ask_sync(url: str, **arguments: Any) -> Any:
    answer = inference_client("m", "q", url=url, **arguments)
    return list(answer) if isinstance(answer, Stream) else answer


def ask_async(url: str, **arguments: Any) -> Any:
    async def ask() -> Any:
        answer = await inference_client_async("m", "q", url=url, **arguments)
        return [chunk async for chunk in answer] if isinstance(answer, AsyncStream) else answer

    return asyncio.run(ask())


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    ask: Callable[..., Any] = request.param
    return ask


STREAM = XRequestConfig(stream=True)


def test_the_model_list() -> None:
    api = Api(base=True, adapter=None)
    with WireServer(api.play) as server:
        models = get_model_list_client(port=server.port, api_key="k")
        again = asyncio.run(get_model_list_client_async(port=str(server.port), api_key="k"))
    assert [(card.id, card.is_chat) for card in models.data] == [("base", True), ("adapter", None)]
    assert again == models
    assert [headers["authorization"] for _, headers, _ in api.asked] == ["Bearer k"] * 2


def test_chat_is_the_default_and_cards_are_asked_once(ask: Callable[..., Any]) -> None:
    api = Api(m=None)
    with WireServer(api.play) as server:
        for _ in range(3):
            answer = ask(server.url)
            assert isinstance(answer, ChatCompletionResponse)
            assert answer.choices[0].message.content == "hi"
    assert api.paths == ["/models", *["/chat/completions"] * 3]
    assert api.body == {"model": "m", "messages": [{"role": "user", "content": "q"}]}


def test_a_base_model_by_its_card(ask: Callable[..., Any]) -> None:
    api = Api(m=False)
    with WireServer(api.play) as server:
        answer = ask(server.url, request_config=XRequestConfig(max_tokens=3, logprobs=True, top_logprobs=2))
    assert isinstance(answer, CompletionResponse)
    assert answer.choices[0].text == "hi"
    assert api.body == {"model": "m", "prompt": "q", "max_tokens": 3, "logprobs": 2}


@pytest.mark.parametrize("name", ["is_chat_request", "is_chat"])
def test_an_explicit_choice_asks_no_cards_and_false_is_honoured(ask: Callable[..., Any], name: str) -> None:
    api = Api(m=True)
    with WireServer(api.play) as server:
        assert isinstance(ask(server.url, **{name: False}), CompletionResponse)
        assert isinstance(ask(server.url, **{name: True}), ChatCompletionResponse)
    assert api.paths == ["/completions", "/chat/completions"]


def test_a_server_without_a_model_list_is_still_a_server(ask: Callable[..., Any]) -> None:
    api = Api()
    api.models = lambda peer: peer.answer(b'{"detail":"Not Found"}', "404 Not Found")
    with WireServer(api.play) as server:
        ask(server.url)
        ask(server.url)
    assert api.paths == ["/models", "/chat/completions", "/chat/completions"]


def test_a_model_without_a_chat_template_is_learnt(ask: Callable[..., Any]) -> None:
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


def test_what_a_stream_tells() -> None:
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


def test_a_server_that_refuses_stream_options_is_asked_without(ask: Callable[..., Any]) -> None:
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


def test_an_adapter_that_came_later_is_found(ask: Callable[..., Any]) -> None:
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


def endless(peer: Peer, left: threading.Event) -> None:
    peer.send(HEADERS)
    peer.chunk(PIECE)
    peer.wait_closed()
    left.set()


def test_leaving_a_stream_tells_the_server() -> None:
    for leave in ("break", "close", "with", "del"):
        left, api = threading.Event(), Api(m=True)
        api.chat = lambda peer, _, left=left: endless(peer, left)  # type: ignore[misc]
        with WireServer(api.play) as server:
            stream = inference_client("m", "q", url=server.url, request_config=STREAM)
            for chunk in stream:
                assert chunk.choices[0].delta.content == "hi"
                break
            if leave == "close":
                stream.close()
            elif leave == "with":
                with stream:
                    pass
            del stream, chunk
            gc.collect()
            assert left.wait(10), leave


def test_leaving_an_async_stream_tells_the_server() -> None:
    async def leave(how: str, url: str, left: threading.Event) -> None:
        stream = await inference_client_async("m", "q", url=url, request_config=STREAM)
        async for _ in stream:
            break
        if how == "close":
            await stream.aclose()
        elif how == "with":
            async with stream:
                pass
        elif how == "cancel":
            task = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            task.cancel()
        del stream
        gc.collect()
        assert await asyncio.to_thread(left.wait, 10), how

    for how in ("break", "close", "with", "cancel"):
        left, api = threading.Event(), Api(m=True)
        api.chat = lambda peer, _, left=left: endless(peer, left)  # type: ignore[misc]
        with WireServer(api.play) as server:
            asyncio.run(leave(how, server.url, left))


def test_a_sync_call_inside_a_running_loop() -> None:
    async def inside(url: str) -> str:
        return inference_client("m", "q", url=url).choices[0].message.content

    api = Api(m=True)
    with WireServer(api.play) as server:
        assert asyncio.run(inside(server.url)) == "hi"


def test_twenty_event_loops_in_a_row_leave_nothing_open() -> None:
    """Streams read to the end, left early, cancelled and forgotten: warnings are errors here, `-X dev` or not."""
    api = Api(m=True)

    async def busy(url: str) -> None:
        async def read(limit: int) -> None:
            stream = await inference_client_async("m", "q", url=url, request_config=STREAM)
            async for _ in stream:
                limit -= 1
                if not limit:
                    return

        tasks = [asyncio.create_task(read(limit)) for limit in (1, 2, 99, 99)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with WireServer(api.play) as server:
        coroutines = [busy(server.url) for _ in range(20)]
        for coroutine in coroutines:
            asyncio.run(coroutine)
            gc.collect()
        for peer in server.peers:
            assert peer.is_closed_by_client(), "a connection outlived its loop"


def test_coroutines_are_made_outside_the_loop_and_read_the_config_when_called() -> None:
    api = Api(m=True)
    config: XRequestConfig[Any] = XRequestConfig(seed=1)
    with WireServer(api.play) as server:
        calls = [inference_client_async("m", f"q{i}", url=server.url, request_config=config) for i in range(5)]
        config.stream = True

        async def gather() -> list[Any]:
            return await asyncio.gather(*calls)

        answers = asyncio.run(gather())
    assert [type(answer) for answer in answers] == [ChatCompletionResponse] * 5
    assert sorted(body["messages"][0]["content"] for _, _, body in api.asked if body) == [f"q{i}" for i in range(5)]


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
