"""The SDK and the real `openai` package against one server: the same texts, finish reasons and usage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from sdk import AsyncInferenceClient, InferenceClient, XRequestConfig, inference_client
from tests.support.serving import Serving, server_process

QUESTIONS = ["Where is West Lake?", "浙江的省会在哪里?", "🙂 Mixed 中文 and English?"]
FIELDS: dict[str, Any] = {"seed": 7, "max_tokens": 40}


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with server_process("--profile", "instant", "--served-model-name", "m") as served:
        yield served


def messages(question: str) -> Any:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]


def usage(found: Any) -> tuple[int, int, int]:
    return found.prompt_tokens, found.completion_tokens, found.total_tokens


@pytest.mark.parametrize("question", QUESTIONS)
def test_whole_answers(server: Serving, question: str) -> None:
    with InferenceClient(server.url) as ours, OpenAI(base_url=server.url, api_key="EMPTY") as theirs:
        a = ours.chat("m", messages(question), **FIELDS)
        b = theirs.chat.completions.create(model="m", messages=messages(question), **FIELDS)
        assert (a.choices[0].message.content, a.choices[0].finish_reason) == (
            b.choices[0].message.content,
            b.choices[0].finish_reason,
        )
        assert usage(a.usage) == usage(b.usage)
        c = ours.complete("m", question, **FIELDS)
        d = theirs.completions.create(model="m", prompt=question, **FIELDS)
        assert (c.choices[0].text, c.choices[0].finish_reason) == (d.choices[0].text, d.choices[0].finish_reason)
        assert usage(c.usage) == usage(d.usage)


@pytest.mark.parametrize("question", QUESTIONS)
def test_streams(server: Serving, question: str) -> None:
    asked = {"model": "m", "messages": messages(question), "stream": True, "stream_options": {"include_usage": True}}

    async def ours() -> tuple[Any, ...]:
        async with AsyncInferenceClient(server.url) as client:
            stream = await client.chat_stream("m", messages(question), **FIELDS)
            texts = [chunk.choices[0].delta.content async for chunk in stream]
            assert stream.usage is not None
            return [text for text in texts if text], stream.finish_reason, usage(stream.usage)

    async def theirs() -> tuple[Any, ...]:
        texts, finish, used = [], None, None
        async with AsyncOpenAI(base_url=server.url, api_key="EMPTY") as client:
            async for chunk in await client.chat.completions.create(**asked, **FIELDS):
                used = usage(chunk.usage) if chunk.usage else used
                for choice in chunk.choices:
                    texts.append(choice.delta.content)
                    finish = choice.finish_reason or finish
        return [text for text in texts if text], finish, used

    assert asyncio.run(ours()) == asyncio.run(theirs())


def test_the_models(server: Serving) -> None:
    with InferenceClient(server.url) as ours, OpenAI(base_url=server.url, api_key="EMPTY") as theirs:
        assert [card.id for card in ours.models().data] == [card.id for card in theirs.models.list()] == ["m"]


WHERE: Any = {
    "type": "function",
    "function": {"name": "where", "parameters": {"properties": {"place": {"type": "string"}}, "required": ["place"]}},
}


@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "where"}}])
def test_streamed_calls(server: Serving, choice: Any) -> None:
    config = XRequestConfig(stream=True, seed=7, max_tokens=300)
    with inference_client(
        "m", messages(QUESTIONS[0]), tools=[WHERE], tool_choice=choice, request_config=config, url=server.url
    ) as stream:
        for _ in stream:
            pass
    asked: dict[str, Any] = {"seed": 7, "max_tokens": 300, "tools": [WHERE], "tool_choice": choice}
    with (
        OpenAI(base_url=server.url, api_key="EMPTY") as theirs,
        theirs.chat.completions.stream(model="m", messages=messages(QUESTIONS[0]), **asked) as helper,
    ):
        final = helper.get_final_completion().choices[0]
    called = [(call.function.name, call.function.arguments) for call in stream.tool_calls]
    assert called == [(call.function.name, call.function.arguments) for call in final.message.tool_calls or ()]
    assert called[0][0] == "where"
    assert "place" in json.loads(called[0][1])
    assert stream.finish_reason == final.finish_reason
