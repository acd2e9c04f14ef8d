"""The real `openai` package against the server, checked by the package's own types."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from mock_server.errors import ApiError
from mock_server.http.exchange import AsgiExchange
from tests.contract.server.conftest import Facts
from tests.contract.server.wire import wait_until_idle
from tests.support.serving import Serving

QUERY = "浙江的省会在哪里?"


@pytest.fixture(scope="session")
def client(server: Serving) -> Iterator[OpenAI]:
    with OpenAI(api_key="EMPTY", base_url=server.url, max_retries=0) as client:
        yield client


def test_the_pages_chat_snippet(client: OpenAI, facts: Facts) -> None:
    model_type = client.models.list().data[0].id
    messages = [{"role": "user", "content": QUERY}]
    resp = client.chat.completions.create(model=model_type, messages=messages, seed=42)  # type: ignore[call-overload]
    response = resp.choices[0].message.content
    assert model_type == "sim-chat"
    assert response.endswith("。") or not facts.makes_sense
    assert resp.usage.total_tokens == resp.usage.prompt_tokens + resp.usage.completion_tokens

    messages += [{"role": "assistant", "content": response}, {"role": "user", "content": "这有什么好吃的?"}]
    stream_resp = client.chat.completions.create(model=model_type, messages=messages, stream=True, seed=42)  # type: ignore[call-overload]
    text = "".join(chunk.choices[0].delta.content for chunk in stream_resp)
    assert text.endswith("。") if facts.makes_sense else text


def test_the_pages_completions_snippet(base_server: Serving) -> None:
    with OpenAI(api_key="EMPTY", base_url=base_server.url) as client:
        model_type = client.models.list().data[0].id
        query = "浙江 -> 杭州\n安徽 -> 合肥\n四川 ->"
        kwargs = {"model": model_type, "prompt": query, "seed": 42, "temperature": 0.1, "max_tokens": 32}
        resp = client.completions.create(**kwargs)
        stream_resp = client.completions.create(stream=True, **kwargs)
        assert resp.choices[0].text == "".join(chunk.choices[0].text for chunk in stream_resp)
        assert model_type == "sim-base"


def test_models_are_listed_and_retrieved(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["sim-chat", "org/sim-chat", "default-lora", "my_tuner"]
    assert client.models.retrieve("org/sim-chat").id == "org/sim-chat"
    assert client.models.retrieve("my_tuner").owned_by == "streamgauge"


def test_streamed_usage_comes_last(client: OpenAI, facts: Facts) -> None:
    stream = client.chat.completions.create(
        model="sim-chat",
        messages=[{"role": "user", "content": "hi"}],
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=5,
        extra_body={"ignore_eos": True},
    )
    *chunks, last = list(stream)
    assert {chunk.usage for chunk in chunks} == {None}
    assert len(chunks) == 6 or not facts.makes_sense
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 5
    assert chunks[-1].choices[0].finish_reason == "length"


def test_the_streaming_helper_gathers_the_answer(client: OpenAI) -> None:
    asked = {"model": "sim-chat", "messages": [{"role": "user", "content": "hi"}], "seed": 1, "stop": ["e"]}
    with client.chat.completions.stream(**asked) as stream:  # type: ignore[arg-type]
        final = stream.get_final_completion()
    whole = client.chat.completions.create(**asked)  # type: ignore[call-overload]
    assert final.choices[0].message.content == whole.choices[0].message.content


def test_the_request_id_reaches_the_client(client: OpenAI) -> None:
    resp = client.completions.create(model="sim-chat", prompt="a", extra_headers={"X-Request-Id": "mine"})
    assert resp.id == "cmpl-mine"
    assert resp._request_id == "mine"


def test_errors_become_the_packages_own_classes(client: OpenAI, guarded_server: Serving, base_server: Serving) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.completions.create(model="my-tuner", prompt="a")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as bad:
        client.completions.create(model="sim-chat", prompt="a", temperature=3)
    assert bad.value.param == "temperature"
    with (
        OpenAI(api_key="EMPTY", base_url=guarded_server.url) as stranger,
        pytest.raises(openai.AuthenticationError) as locked,
    ):
        stranger.models.list()
    assert locked.value.code == "invalid_api_key"
    with (
        OpenAI(api_key="EMPTY", base_url=base_server.url) as base,
        pytest.raises(openai.BadRequestError, match="no chat template"),
    ):
        base.chat.completions.create(model="sim-base", messages=[{"role": "user", "content": "hi"}])


def test_the_async_client_sends_concurrent_requests(server: Serving, base_server: Serving) -> None:
    async def ask(client: AsyncOpenAI, model: str) -> str:
        messages = [{"role": "user", "content": QUERY}]
        whole = await client.chat.completions.create(model=model, messages=messages, seed=1)  # type: ignore[call-overload]
        stream = await client.chat.completions.create(model=model, messages=messages, seed=1, stream=True)  # type: ignore[call-overload]
        text = "".join([chunk.choices[0].delta.content async for chunk in stream])
        assert text == whole.choices[0].message.content
        return text

    async def main() -> None:
        async with AsyncOpenAI(api_key="EMPTY", base_url=server.url) as client:
            models = [model.id async for model in client.models.list()]
            texts = await asyncio.gather(*(ask(client, model) for model in models * 5))
            assert len(set(texts)) == 3  # the base model's two names are one model
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("nothing")
        async with AsyncOpenAI(api_key="EMPTY", base_url=base_server.url) as client:
            whole = await client.completions.create(model="sim-base", prompt=["a", "b"], n=2)
            assert [choice.index for choice in whole.choices] == [0, 1, 2, 3]

    asyncio.run(main())


def test_leaving_a_stream_early_frees_the_engine(server: Serving, client: OpenAI, facts: Facts) -> None:
    stream = client.completions.create(
        model="sim-chat", prompt="a", max_tokens=facts.endless, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(stream))
    stream.close()
    with httpx.Client(base_url=server.root) as http:
        wait_until_idle(http)


def test_a_request_says_the_same_alone_and_among_64(server: Serving) -> None:
    async def main() -> None:
        async with AsyncOpenAI(api_key="EMPTY", base_url=server.url) as client:

            async def ask(number: int) -> str:
                resp = await client.completions.create(
                    model="sim-chat", prompt=f"question {number}", max_tokens=40, temperature=0
                )
                return resp.choices[0].text

            together = await asyncio.gather(*(ask(number) for number in range(64)))
            assert [await ask(number) for number in (0, 31, 63)] == [together[0], together[31], together[63]]

    asyncio.run(main())


class Way(BaseModel):
    """Where to go."""

    direction: Literal["left", "right"]
    steps: Literal[1, 2, 3]


RANDOM = "within its grammar a model of random weights may write white space for ever"


def test_parse_helpers_get_instances_of_their_models(client: OpenAI, facts: Facts) -> None:
    if not facts.makes_sense:
        pytest.skip(RANDOM)
    asked: Any = {"model": "sim-chat", "messages": [{"role": "user", "content": QUERY}], "max_tokens": 200}
    whole = client.chat.completions.parse(**asked, response_format=Way)
    assert isinstance(whole.choices[0].message.parsed, Way)
    with client.chat.completions.stream(**asked, response_format=Way) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(parsed, Way)


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "Way"}}])
def test_the_tool_helpers_gather_calls(client: OpenAI, facts: Facts, choice: Any) -> None:
    if not facts.makes_sense:
        pytest.skip(RANDOM)
    asked: Any = {"model": "sim-chat", "messages": [{"role": "user", "content": QUERY}], "max_tokens": 200}
    tools: Any = [openai.pydantic_function_tool(Way)]
    asked |= {"tools": tools, "tool_choice": choice, "parallel_tool_calls": False}
    whole = client.chat.completions.parse(**asked)
    (call,) = whole.choices[0].message.tool_calls or ()
    assert isinstance(call.function.parsed_arguments, Way)
    pieces, done = [], []
    with client.chat.completions.stream(**asked) as stream:
        for event in stream:
            if event.type == "tool_calls.function.arguments.delta":
                pieces.append(event.arguments_delta)
            elif event.type == "tool_calls.function.arguments.done":
                done.append((event.name, event.arguments, event.parsed_arguments))
        (streamed,) = stream.get_final_completion().choices[0].message.tool_calls or ()
    assert isinstance(streamed.function.parsed_arguments, Way)
    assert done == [("Way", "".join(pieces), streamed.function.parsed_arguments)]
    assert len(pieces) > 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError), (401, openai.AuthenticationError), (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError), (409, openai.ConflictError), (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ],
)  # fmt: skip
def test_each_status_is_its_error_class(status: int, kind: type[openai.APIStatusError]) -> None:
    refusal = ApiError(status, "why", param="field", code="some_code")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await AsgiExchange(scope, receive, send).send_error(refusal)

    transport = httpx.ASGITransport(app)

    async def main() -> openai.APIStatusError:
        async with AsyncOpenAI(
            api_key="k", base_url="http://test", http_client=httpx.AsyncClient(transport=transport), max_retries=0
        ) as client:
            with pytest.raises(kind) as caught:
                await client.models.list()
            return caught.value

    error = asyncio.run(main())
    assert (error.code, error.param) == ("some_code", "field")
    assert "why" in error.message
