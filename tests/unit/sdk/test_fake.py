"""The fake transport, as the author of a test uses it."""

from __future__ import annotations

import asyncio
import json

import pytest

from sdk import AsyncInferenceClient, ConnectionLostError, InferenceClient, StatusError
from sdk.transport.base import Request
from sdk.transport.fake import AsyncFakeTransport, FakeAnswer, FakeTransport

CHUNK = '{"choices":[{"index":0,"delta":{"content":"hi"}}]}'


def echo(request: Request) -> FakeAnswer:
    if request.target.endswith("/models"):
        return FakeAnswer(200, [b'{"data":[{"id":"m"}]}'])
    body = json.loads(request.body)
    if body.get("stream"):
        return FakeAnswer.events(CHUNK, "[DONE]")
    said = body["messages"][-1]["content"]
    return FakeAnswer(200, [json.dumps({"choices": [{"message": {"content": said}}]}).encode()])


def test_a_function_answers_each_request() -> None:
    transport = FakeTransport(echo)
    client = InferenceClient("http://api", transport=transport)
    assert client.chat("m", "say it").choices[0].message.content == "say it"
    assert [chunk.choices[0].delta.content for chunk in client.chat_stream("m", "q")] == ["hi"]
    assert client.models().data[0].id == "m"
    assert [request.url for request in transport.requests] == [
        "http://api/v1/chat/completions",
        "http://api/v1/chat/completions",
        "http://api/v1/models",
    ]
    assert transport.open_exchanges == 0


def test_open_exchanges_are_counted() -> None:
    transport = FakeTransport(echo)
    stream = InferenceClient("http://api", transport=transport).chat_stream("m", "q")
    assert transport.open_exchanges == 1
    stream.close()
    assert transport.open_exchanges == 0


def test_async_answers_and_errors_before_and_within_them() -> None:
    def answer(request: Request) -> FakeAnswer | Exception:
        if b"first" in request.body:
            return ConnectionLostError("before any answer")
        return FakeAnswer(
            200, [f"data: {CHUNK}\n\n".encode(), ConnectionLostError("half-way")], {"Content-Type": "x/y"}
        )

    async def main() -> None:
        transport = AsyncFakeTransport(answer)
        client = AsyncInferenceClient("http://api", transport=lambda: transport)
        with pytest.raises(ConnectionLostError, match="before any answer"):
            await client.chat("m", "first")
        stream = await client.chat_stream("m", "second")
        with pytest.raises(ConnectionLostError, match="half-way") as caught:
            async for _ in stream:
                pass
        assert caught.value.partial == "hi"
        assert transport.open_exchanges == 0

    asyncio.run(main())


def test_statuses() -> None:
    client = InferenceClient("http://api", transport=FakeTransport(lambda _: FakeAnswer(418, [b"tea"])))
    with pytest.raises(StatusError, match="HTTP 418: tea"):
        client.models()
