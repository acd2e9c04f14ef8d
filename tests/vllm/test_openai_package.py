"""The real `openai` package beside the SDK: the same request, under greedy decoding, gets the same text and usage."""

from __future__ import annotations

import asyncio

import pytest
from openai import AsyncOpenAI, OpenAI

from sdk import AsyncInferenceClient, InferenceClient, XRequestConfig
from tests.support.vllm_server import MODEL, VllmServer

pytestmark = pytest.mark.vllm

QUESTION = "Name three primary colors."
PROMPT = "1, 2, 3, 4, 5,"
GREEDY = XRequestConfig(temperature=0, max_tokens=32)


def test_chat(client: InferenceClient, server: VllmServer) -> None:
    ours = client.chat(MODEL, QUESTION, config=GREEDY)
    streamed = client.chat_stream(MODEL, QUESTION, config=GREEDY)
    our_pieces = [chunk.choices[0].delta.content for chunk in streamed]
    with OpenAI(base_url=server.url, api_key="EMPTY") as openai:
        theirs = openai.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=32
        )
        chunks = list(
            openai.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": QUESTION}],
                temperature=0,
                max_tokens=32,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    assert theirs.choices[0].message.content == ours.choices[0].message.content
    assert theirs.choices[0].finish_reason == ours.choices[0].finish_reason
    assert theirs.usage is not None
    assert theirs.usage.completion_tokens == ours.usage.completion_tokens
    # chunk by chunk: but for the one that has the usage alone, which the SDK keeps to itself
    assert [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices] == our_pieces
    assert chunks[-1].usage is not None
    assert streamed.usage is not None
    assert chunks[-1].usage.total_tokens == streamed.usage.total_tokens


def test_completions(client: InferenceClient, server: VllmServer) -> None:
    ours = client.complete(MODEL, PROMPT, config=GREEDY)
    with OpenAI(base_url=server.url, api_key="EMPTY") as openai:
        theirs = openai.completions.create(model=MODEL, prompt=PROMPT, temperature=0, max_tokens=32)
    assert theirs.choices[0].text == ours.choices[0].text
    assert theirs.usage is not None
    assert theirs.usage.total_tokens == ours.usage.total_tokens


def test_from_asyncio_side_by_side(server: VllmServer) -> None:
    async def main() -> tuple[list[str], list[str]]:
        async with AsyncInferenceClient(server.url) as client, AsyncOpenAI(base_url=server.url, api_key="-") as openai:

            async def ours() -> str:
                return (await client.chat(MODEL, QUESTION, config=GREEDY)).choices[0].message.content

            async def theirs() -> str:
                answer = await openai.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=32
                )
                return answer.choices[0].message.content or ""

            return await asyncio.gather(*(ours() for _ in range(4))), await asyncio.gather(
                *(theirs() for _ in range(4))
            )

    our_texts, their_texts = asyncio.run(main())
    assert set(our_texts) == set(their_texts)
    assert len(set(our_texts)) == 1


def test_the_list_of_models(client: InferenceClient, server: VllmServer) -> None:
    with OpenAI(base_url=server.url, api_key="EMPTY") as openai:
        assert [model.id for model in openai.models.list().data] == [card.id for card in client.models().data]
