"""llama-index: OpenAILike for chats, streams, tools and structured output, and an agent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from llama_index.core.agent.workflow import AgentStream, FunctionAgent, ToolCallResult
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field

SEEDS = range(40)
QUESTION = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="What is a tide?")]
ALBUM = PromptTemplate("Make up an album inspired by {film}.")


class Song(BaseModel):
    title: str
    seconds: int = Field(ge=1)


class Album(BaseModel):
    """A music album."""

    name: str
    songs: list[Song]
    hit: Song | None


def get_weather(place: str) -> str:
    """Look up the weather of a place."""
    return f"12 degrees in {place}"


def get_time(place: str) -> str:
    """Look up the time at a place."""
    return f"noon in {place}"


def like(url: str, *, seed: int = 1, is_chat: bool = True) -> OpenAILike:
    return OpenAILike(
        model="sim-chat",
        api_base=url,
        api_key="any",
        is_chat_model=is_chat,
        is_function_calling_model=is_chat,
        context_window=32768,
        max_retries=0,
        additional_kwargs={"seed": seed},
    )


@pytest.fixture
def llm(base_url: str) -> OpenAILike:
    return like(base_url)


def tools() -> Sequence[FunctionTool]:
    return [FunctionTool.from_defaults(get_weather), FunctionTool.from_defaults(get_time)]


def test_a_chat_whole_and_streamed(llm: OpenAILike) -> None:
    whole = llm.chat(QUESTION)
    assert whole.message.role == "assistant"
    pieces = list(llm.stream_chat(QUESTION))
    assert len(pieces) > 2
    assert "".join(piece.delta or "" for piece in pieces) == whole.message.content
    assert pieces[-1].message.content == whole.message.content
    assert whole.raw.usage.completion_tokens > 1


@pytest.mark.parametrize("is_chat", [True, False], ids=["chat", "completions"])
def test_a_completion_whole_and_streamed(base_url: str, is_chat: bool) -> None:
    llm = like(base_url, is_chat=is_chat)
    whole = llm.complete("Once upon a time")
    assert whole.text
    assert "".join(piece.delta or "" for piece in llm.stream_complete("Once upon a time")) == whole.text


def test_asynchronously(llm: OpenAILike) -> None:
    async def ask() -> tuple[str, str]:
        whole = await llm.achat(QUESTION)
        stream = await llm.astream_chat(QUESTION)
        return whole.message.content or "", "".join([piece.delta or "" async for piece in stream])

    whole, streamed = asyncio.run(ask())
    assert whole == streamed


def test_a_structured_prediction(base_url: str) -> None:
    albums = [like(base_url, seed=seed).structured_predict(Album, ALBUM, film="a western") for seed in SEEDS]
    assert all(isinstance(album, Album) for album in albums)
    assert len({album.name for album in albums}) > 1
    assert {album.hit is None for album in albums} == {True, False}
    assert {bool(album.songs) for album in albums} >= {True}


def test_a_structured_model_whole_and_streamed(llm: OpenAILike) -> None:
    structured = llm.as_structured_llm(Album)
    assert isinstance(structured.complete("Make up an album.").raw, Album)
    assert isinstance(structured.chat([ChatMessage(role="user", content="Make up an album.")]).raw, Album)
    *_, last = llm.stream_structured_predict(Album, ALBUM, film="a western")
    assert Album.model_validate(last.model_dump())


def test_tools_are_called(base_url: str) -> None:
    names = set()
    for seed in SEEDS:
        llm = like(base_url, seed=seed)
        answer = llm.chat_with_tools(tools(), user_msg="What of Paris?", tool_required=True)
        for call in llm.get_tool_calls_from_response(answer):
            names.add(call.tool_name)
            assert call.tool_kwargs.keys() == {"place"}
    assert names == {"get_weather", "get_time"}


def test_a_streamed_tool_call_adds_up(llm: OpenAILike) -> None:
    *_, last = llm.stream_chat_with_tools(tools(), user_msg="How is the weather in Paris?", tool_required=True)
    (call,) = llm.get_tool_calls_from_response(last)
    assert call.tool_kwargs.keys() == {"place"}


def test_a_tool_is_called_and_its_result_is_answered(llm: OpenAILike) -> None:
    answer = llm.predict_and_call(tools(), user_msg="How is the weather in Paris?")
    assert "Paris" in str(answer) or "in " in str(answer)
    assert answer.sources[0].tool_name in ("get_weather", "get_time")


def test_an_agent_calls_its_tool_and_then_answers(llm: OpenAILike) -> None:
    async def run() -> tuple[list[str], list[str], str]:
        agent = FunctionAgent(tools=list(tools()), llm=llm, system_prompt="You are a helpful assistant.")
        handler = agent.run(user_msg="How is the weather in Paris? Use get_weather.")
        called, pieces = [], []
        async for event in handler.stream_events():
            if isinstance(event, ToolCallResult):
                called.append(event.tool_name)
            elif isinstance(event, AgentStream):
                pieces.append(event.delta)
        return called, pieces, str(await handler)

    called, pieces, answer = asyncio.run(run())
    assert called == ["get_weather"]
    assert answer
    assert "".join(pieces).endswith(answer)


def test_an_agent_ends_with_its_structured_output(base_url: str) -> None:
    async def run(seed: int) -> Album | None:
        agent = FunctionAgent(tools=list(tools()), llm=like(base_url, seed=seed), output_cls=Album)
        return (await agent.run(user_msg="Make up an album.")).get_pydantic_model(Album)

    for seed in range(4):
        assert isinstance(asyncio.run(run(seed)), Album)
