"""langchain-openai: chats, streams, tools, structured output and an agent, as langchain's documentation has them."""

from __future__ import annotations

import asyncio
from typing import Annotated, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import BaseModel, Field

SEEDS = range(40)


class Address(BaseModel):
    street: str
    number: int = Field(ge=1, le=999)


class Person(BaseModel):
    """Information about a person."""

    name: str = Field(description="the full name")
    age: int | None = Field(default=None, ge=0, le=120)
    home: Address
    former: list[Address] = Field(default_factory=list)


class Joke(TypedDict):
    """A joke."""

    setup: Annotated[str, ..., "how it begins"]
    rating: Annotated[int | None, None, "from 1 to 10"]


@tool
def get_weather(place: str, days: int = 1) -> str:
    """Look up the weather of a place."""
    return f"12 degrees in {place}"


@tool
def get_time(place: str) -> str:
    """Look up the time at a place."""
    return f"noon in {place}"


@pytest.fixture
def llm(base_url: str) -> ChatOpenAI:
    return ChatOpenAI(model="sim-chat", base_url=base_url, api_key="any", seed=1, max_retries=0)


def with_seed(llm: ChatOpenAI, seed: int) -> ChatOpenAI:
    return llm.model_copy(update={"seed": seed})


def test_a_chat_with_its_metadata(llm: ChatOpenAI) -> None:
    message = llm.invoke([("system", "Be brief."), ("human", "What is a tide?")])
    assert message.content
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] > 1
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.response_metadata["model_name"] == "sim-chat"
    assert message.id


def test_a_stream_adds_up_to_the_whole_answer_with_its_usage(llm: ChatOpenAI) -> None:
    # with an address of one's own, the package asks for usage only when told to
    llm = llm.model_copy(update={"stream_usage": True})
    pieces = list(llm.stream("What is a tide?"))
    whole = llm.invoke("What is a tide?")
    total = pieces[0]
    for piece in pieces[1:]:
        total += piece
    assert isinstance(total, AIMessageChunk)
    assert len(pieces) > 2
    assert total.content == whole.content
    assert total.usage_metadata == whole.usage_metadata
    assert total.response_metadata["finish_reason"] == "stop"


def test_a_chain_a_batch_and_an_asynchronous_stream(llm: ChatOpenAI) -> None:
    chain = ChatPromptTemplate.from_template("Tell me about {subject}.") | llm | StrOutputParser()
    texts = chain.batch([{"subject": subject} for subject in ("tides", "bees", "maps", "rivers")])
    assert len(set(texts)) == 4

    async def pieces() -> list[str]:
        return [piece async for piece in chain.astream({"subject": "tides"})]

    assert "".join(asyncio.run(pieces())) == texts[0]


def test_tools_are_called_and_answered(llm: ChatOpenAI) -> None:
    bound = llm.bind_tools([get_weather, get_time])
    question = HumanMessage("How is the weather in Paris? Use get_weather.")
    message = bound.invoke([question])
    (call,) = message.tool_calls
    assert message.invalid_tool_calls == []
    assert call["name"] == "get_weather"
    assert call["id"]
    result = get_weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert bound.invoke([question, message, result]).content


@pytest.mark.parametrize("choice", ["any", "get_time", "auto"])
def test_every_tool_choice_gives_calls_that_fit(llm: ChatOpenAI, choice: str) -> None:
    names = set()
    for seed in SEEDS:
        bound = with_seed(llm, seed).bind_tools([get_weather, get_time], tool_choice=choice)
        message = bound.invoke("What can you tell me about Paris?")
        assert message.invalid_tool_calls == []
        names |= {call["name"] for call in message.tool_calls}
    assert names <= {"get_weather", "get_time"}
    if choice == "any":
        assert names == {"get_weather", "get_time"}
    if choice == "get_time":
        assert names == {"get_time"}


def test_a_streamed_tool_call_adds_up(llm: ChatOpenAI) -> None:
    total: AIMessageChunk | None = None
    for piece in llm.bind_tools([get_weather], tool_choice="any").stream("How is the weather in Paris?"):
        total = piece if total is None else total + piece
    assert total is not None
    (call,) = total.tool_calls
    assert call["name"] == "get_weather"
    assert "place" in call["args"]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_by_schema(llm: ChatOpenAI, method: str) -> None:
    people = []
    for seed in SEEDS:
        structured = with_seed(llm, seed).with_structured_output(Person, method=method)
        people.append(structured.invoke("Anna, 30, lives at 3 Main Street."))
    assert all(isinstance(person, Person) for person in people)
    assert len({person.name for person in people}) > 1
    assert {person.age is None for person in people} == {True, False}


def test_structured_output_as_a_dictionary_with_the_raw_message(llm: ChatOpenAI) -> None:
    answer = llm.with_structured_output(Joke, include_raw=True).invoke("Tell me a joke about cats.")
    assert answer["parsing_error"] is None
    assert answer["parsed"].keys() >= {"setup"}
    assert isinstance(answer["raw"], AIMessage)


def test_structured_output_by_json_mode_is_an_object(llm: ChatOpenAI) -> None:
    answers = [
        with_seed(llm, seed)
        .with_structured_output(None, method="json_mode")
        .invoke("Give a city and its country, as JSON.")
        for seed in SEEDS
    ]
    assert all(isinstance(answer, dict) for answer in answers)
    assert len({str(answer) for answer in answers}) > 1


def test_structured_output_in_a_stream(llm: ChatOpenAI) -> None:
    *_, last = llm.with_structured_output(Person).stream("Anna, 30, lives at 3 Main Street.")
    assert isinstance(last, Person)


@pytest.mark.parametrize("strategy", [ToolStrategy, ProviderStrategy], ids=lambda strategy: strategy.__name__)
def test_an_agent_with_tools_ends_with_its_structured_response(llm: ChatOpenAI, strategy: type) -> None:
    for seed in SEEDS:
        agent = create_agent(with_seed(llm, seed), tools=[get_weather, get_time], response_format=strategy(Person))
        state = agent.invoke({"messages": [{"role": "user", "content": "Who lives in Paris?"}]})
        assert isinstance(state["structured_response"], Person)


def test_an_agent_calls_its_tool_once_and_then_answers(llm: ChatOpenAI) -> None:
    agent = create_agent(llm, tools=[get_weather], system_prompt="You are a helpful assistant.")
    state = agent.invoke({"messages": [{"role": "user", "content": "How is the weather in Paris?"}]})
    kinds = [type(message).__name__ for message in state["messages"]]
    assert kinds == ["HumanMessage", "AIMessage", "ToolMessage", "AIMessage"]
    assert state["messages"][-1].content


def test_an_agent_s_steps_are_streamed(llm: ChatOpenAI) -> None:
    agent = create_agent(llm, tools=[get_weather])
    question = {"messages": [{"role": "user", "content": "How is the weather in Paris?"}]}
    pieces = [piece for piece, _ in agent.stream(question, stream_mode="messages")]
    assert any(getattr(piece, "tool_call_chunks", None) for piece in pieces)
    assert any(isinstance(piece, ToolMessage) for piece in pieces)
    assert sum(bool(piece.content) for piece in pieces) > 3


def test_log_probabilities(llm: ChatOpenAI) -> None:
    message = llm.bind(logprobs=True, top_logprobs=2).invoke("What is a tide?")
    assert len(message.response_metadata["logprobs"]["content"]) > 1


def test_completions(base_url: str) -> None:
    llm = OpenAI(model="sim-chat", base_url=base_url, api_key="any", max_tokens=12, temperature=0)
    assert llm.invoke("Once upon a time")
    assert "".join(llm.stream("Once upon a time")) == llm.invoke("Once upon a time")


def test_a_conversation_goes_on_after_a_call_that_was_cut_short(llm: ChatOpenAI) -> None:
    bound = llm.bind_tools([get_weather], tool_choice="get_weather")
    question = HumanMessage("How is the weather in Paris?")
    message = bound.invoke([question], max_tokens=3)
    assert message.tool_calls == []
    assert len(message.invalid_tool_calls) == 1
    (call,) = bound.invoke([question, message, HumanMessage("Again, and whole this time.")]).tool_calls
    assert call["name"] == "get_weather"
