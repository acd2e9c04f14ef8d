"""pydantic-ai: agents with tools and with outputs of every kind, as its own documentation writes them."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent, ModelRetry, NativeOutput, PromptedOutput, RunContext, ToolOutput
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

SEEDS = range(40)


class Wind(BaseModel):
    speed: float = Field(ge=0, le=200)
    direction: Literal["north", "east", "south", "west"]


class Report(BaseModel):
    """A nested type: its JSON schema has `$defs`, `$ref` and `anyOf`."""

    city: str
    temperature: float = Field(description="in degrees Celsius")
    wind: Wind | None
    days: list[Wind] = Field(min_length=1, max_length=3)


class Part(BaseModel):
    """A type that contains itself."""

    name: str
    parts: list[Part] = []


class Refusal(BaseModel):
    reason: str


@pytest.fixture
def model(base_url: str) -> OpenAIChatModel:
    return OpenAIChatModel("sim-chat", provider=OpenAIProvider(base_url=base_url, api_key="any"))


def seeded(seed: int) -> ModelSettings:
    return ModelSettings(seed=seed)


def test_an_agent_with_a_tool_and_a_nested_output_ends_with_that_output(model: OpenAIChatModel) -> None:
    looked_up: list[str] = []
    agent = Agent(model, output_type=Report, instructions="Report the weather.")

    @agent.tool_plain
    def get_weather(city: str, day: int | None = None) -> str:
        """Look up the weather of a city."""
        looked_up.append(city)
        return f"12 degrees in {city}"

    runs = [agent.run_sync("How is the weather in Hamburg?", model_settings=seeded(seed)) for seed in SEEDS]
    for run in runs:  # each ended within the package's own limit of 50 requests
        assert isinstance(run.output, Report)
        assert run.usage.requests >= 1
        assert run.usage.output_tokens > 0
    # over the seeds everything that can come does come: the tool, a wind, and none
    assert looked_up
    assert {run.output.wind is None for run in runs} == {True, False}
    assert len({run.output.city for run in runs}) > 1


def test_the_same_seed_gives_the_same_run(model: OpenAIChatModel) -> None:
    agent = Agent(model, output_type=Report)
    first, second = (agent.run_sync("How is the weather?", model_settings=seeded(3)).output for _ in range(2))
    assert first == second


def test_a_prompt_changes_the_output(model: OpenAIChatModel) -> None:
    agent = Agent(model, output_type=Report)
    outputs = [agent.run_sync(f"How is the weather in place {i}?", model_settings=seeded(1)).output for i in range(8)]
    assert len({output.model_dump_json() for output in outputs}) > 1


@pytest.mark.parametrize("wrap", [ToolOutput, NativeOutput, PromptedOutput], ids=lambda wrap: wrap.__name__)
def test_every_way_to_ask_for_an_output_gives_one(model: OpenAIChatModel, wrap: type) -> None:
    agent = Agent(model, output_type=wrap(Report), retries=5)
    for seed in SEEDS:
        assert isinstance(agent.run_sync("How is the weather?", model_settings=seeded(seed)).output, Report)


def test_an_output_type_may_contain_itself(model: OpenAIChatModel) -> None:
    agent = Agent(model, output_type=Part)
    outputs = [agent.run_sync("Take a clock apart.", model_settings=seeded(seed)).output for seed in SEEDS]
    assert {bool(output.parts) for output in outputs} == {True, False}


def test_each_of_several_output_types_is_reached(model: OpenAIChatModel) -> None:
    agent = Agent(model, output_type=[Report, Refusal, list[int]])
    outputs = [agent.run_sync("How is the weather?", model_settings=seeded(seed)).output for seed in range(32)]
    assert {type(output) for output in outputs} == {Report, Refusal, list}


def test_an_agent_without_an_output_type_uses_its_tool_and_then_answers_in_text(model: OpenAIChatModel) -> None:
    agent = Agent(model, deps_type=str)
    asked: list[tuple[str, str]] = []

    @agent.tool
    def get_weather(context: RunContext[str], city: str) -> str:
        """Look up the weather of a city."""
        asked.append((context.deps, city))
        return "12 degrees"

    run = agent.run_sync("How is the weather in Hamburg?", deps="the caller's own", model_settings=seeded(1))
    assert run.output.strip()
    assert [deps for deps, _ in asked] == ["the caller's own"]
    calls = [
        part
        for message in run.all_messages()
        if isinstance(message, ModelResponse)
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    assert [call.tool_name for call in calls] == ["get_weather"]
    assert calls[0].args_as_dict().keys() == {"city"}
    assert calls[0].tool_call_id


def test_a_conversation_goes_on(model: OpenAIChatModel) -> None:
    agent = Agent(model)
    first = agent.run_sync("What is a tide?", model_settings=seeded(1))
    second = agent.run_sync("And what makes it?", message_history=first.all_messages(), model_settings=seeded(1))
    assert second.usage.input_tokens > first.usage.input_tokens
    assert len(second.all_messages()) == 4


def test_a_tool_that_asks_to_try_again_is_called_again(model: OpenAIChatModel) -> None:
    agent = Agent(model, output_type=Report, retries=20)
    tries: list[str] = []

    @agent.output_validator
    def not_the_first(report: Report) -> Report:
        tries.append(report.city)
        if len(tries) < 3:
            raise ModelRetry("Another city, please.")
        return report

    assert isinstance(agent.run_sync("How is the weather?", model_settings=seeded(1)).output, Report)
    assert len(tries) == 3


def test_text_is_streamed(model: OpenAIChatModel) -> None:
    async def pieces() -> tuple[list[str], str, int]:
        async with Agent(model).run_stream("What is a tide?", model_settings=seeded(1)) as stream:
            arrived = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
            return arrived, await stream.get_output(), stream.usage.output_tokens

    arrived, output, tokens = asyncio.run(pieces())
    assert len(arrived) > 1
    assert "".join(arrived) == output
    assert tokens > 1


def test_an_output_is_streamed(model: OpenAIChatModel) -> None:
    async def last(seed: int) -> tuple[int, Report]:
        agent = Agent(model, output_type=Report)
        async with agent.run_stream("How is the weather?", model_settings=seeded(seed)) as stream:
            partial = [output async for output in stream.stream_output(debounce_by=None)]
            return len(partial), await stream.get_output()

    for seed in range(4):
        pieces, output = asyncio.run(last(seed))
        assert pieces >= 1
        assert isinstance(output, Report)


def test_events_of_a_run_with_a_tool_are_streamed(model: OpenAIChatModel) -> None:
    agent = Agent(model)

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Look up the weather of a city."""
        return "12 degrees"

    async def kinds() -> list[str]:
        async with agent.run_stream_events("How is the weather?", model_settings=seeded(1)) as events:
            return [event.event_kind async for event in events]

    seen = asyncio.run(kinds())
    for kind in ("part_start", "part_delta", "function_tool_call", "function_tool_result", "agent_run_result"):
        assert kind in seen
