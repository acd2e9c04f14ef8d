"""The openai package itself, in its newest version and in the last of version 2: what its documentation shows."""

from __future__ import annotations

import asyncio
import json
from typing import Literal

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

MODEL = "sim-chat"
QUESTION = [{"role": "user", "content": "What is a tide?"}]
SEEDS = range(40)


class Step(BaseModel):
    explanation: str
    output: str


class Solution(BaseModel):
    steps: list[Step]
    answer: float
    confidence: Literal["low", "high"] | None


class GetWeather(BaseModel):
    """The weather of a place."""

    place: str
    unit: Literal["celsius", "fahrenheit"]


WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


@pytest.fixture(scope="module")
def client(base_url: str) -> OpenAI:
    return OpenAI(base_url=base_url, api_key="any", max_retries=0)


def test_a_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION)
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.message.refusal is None
    assert choice.message.tool_calls is None
    assert choice.logprobs is None
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_with_usage(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=QUESTION, seed=1, stream=True, stream_options={"include_usage": True}
        )
    )
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, seed=1)
    *pieces, last = chunks
    assert last.choices == []
    assert last.usage == whole.usage
    assert all(piece.usage is None and len(piece.choices) == 1 for piece in pieces)
    assert pieces[0].choices[0].delta.role == "assistant"
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == whole.choices[0].message.content
    assert [piece.choices[0].finish_reason for piece in pieces if piece.choices[0].finish_reason] == ["stop"]
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_the_streaming_helper_sees_every_event(client: OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=QUESTION, seed=1) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert kinds.count("content.delta") > 1
    assert kinds.count("content.done") == 1
    assert final.choices[0].message.content


def test_a_parsed_answer(client: OpenAI) -> None:
    answers = [
        client.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "Solve 8x + 7 = -23."}],
            response_format=Solution,
            seed=seed,
        )
        for seed in SEEDS
    ]
    solutions = [answer.choices[0].message.parsed for answer in answers]
    assert all(isinstance(solution, Solution) for solution in solutions)
    assert {solution.confidence is None for solution in solutions if solution} == {True, False}
    assert len({solution.model_dump_json() for solution in solutions if solution}) > 1


def test_a_parsed_answer_in_a_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=QUESTION, response_format=Solution, seed=2) as stream:
        for _ in stream:
            pass
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(parsed, Solution)


def test_parsed_tool_calls(client: OpenAI) -> None:
    for seed in SEEDS:
        answer = client.chat.completions.parse(
            model=MODEL,
            messages=QUESTION,
            tools=[openai.pydantic_function_tool(GetWeather)],
            tool_choice="required",
            seed=seed,
        )
        (call,) = answer.choices[0].message.tool_calls or []
        assert isinstance(call.function.parsed_arguments, GetWeather)


def test_an_answer_cut_short_cannot_be_parsed(client: OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model=MODEL, messages=QUESTION, response_format=Solution, max_tokens=3)


def test_a_tool_is_called_and_its_result_is_answered(client: OpenAI) -> None:
    messages = [{"role": "user", "content": "How is the weather in Paris?"}]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER_TOOL])
    (choice,) = first.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.id
    assert json.loads(call.function.arguments).keys() == {"place"}

    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}]
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER_TOOL])
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content
    assert not second.choices[0].message.tool_calls


def test_a_streamed_tool_call_has_its_parts_in_order(client: OpenAI) -> None:
    chunks = client.chat.completions.create(
        model=MODEL, messages=QUESTION, tools=[WEATHER_TOOL], tool_choice="required", stream=True
    )
    deltas = [piece for chunk in chunks for choice in chunk.choices for piece in choice.delta.tool_calls or []]
    assert {delta.index for delta in deltas} == {0}
    # id, type and name come once, with the first piece; then arguments alone
    assert deltas[0].id
    assert deltas[0].type == "function"
    assert deltas[0].function is not None
    assert deltas[0].function.name == "get_weather"
    assert all(delta.id is None for delta in deltas[1:])
    assert all(delta.function and delta.function.name is None for delta in deltas[1:])
    arguments = "".join(delta.function.arguments or "" for delta in deltas if delta.function)
    assert json.loads(arguments).keys() == {"place"}


def test_log_probabilities(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, logprobs=True, top_logprobs=2, max_tokens=5)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.refusal is None
    assert len(logprobs.content or []) == 5
    assert all(len(entry.top_logprobs) >= 2 and entry.logprob <= 0 for entry in logprobs.content or [])


def test_several_choices(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, n=3, max_tokens=8)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1


def test_a_completion_whole_and_streamed(client: OpenAI) -> None:
    whole = client.completions.create(model=MODEL, prompt="Once upon a time", seed=1, max_tokens=12, logprobs=1)
    assert whole.choices[0].finish_reason == "length"
    assert whole.choices[0].logprobs is not None
    assert len(whole.choices[0].logprobs.tokens or []) == 12
    stream = client.completions.create(model=MODEL, prompt="Once upon a time", seed=1, max_tokens=12, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text


def test_json_mode_gives_objects_that_follow_the_prompt_and_the_seed(client: OpenAI) -> None:
    def ask(question: str, seed: int) -> str:
        messages = [{"role": "user", "content": f"{question} Answer in JSON."}]
        answer = client.chat.completions.create(
            model=MODEL, messages=messages, response_format={"type": "json_object"}, seed=seed
        )
        content = answer.choices[0].message.content or ""
        assert isinstance(json.loads(content), dict)
        return content

    assert ask("A colour?", 1) == ask("A colour?", 1)
    assert len({ask("A colour?", seed) for seed in SEEDS}) > 1
    assert len({ask(question, 1) for question in ("A colour?", "A town?", "A year?", "A name?")}) > 1


def test_the_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).object == "model"


def test_errors_have_the_package_s_own_classes(client: OpenAI, small_base_url: str, locked_base_url: str) -> None:
    with pytest.raises(openai.NotFoundError, match="sim-chat") as not_found:
        client.chat.completions.create(model="gpt-unknown", messages=QUESTION)
    assert not_found.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=9)
    assert bad.value.param == "temperature"
    long = [{"role": "user", "content": "word " * 2000}]
    with pytest.raises(openai.BadRequestError, match="maximum context length is 512 tokens") as too_long:
        OpenAI(base_url=small_base_url, api_key="any").chat.completions.create(model="sim-small", messages=long)
    assert too_long.value.code == "context_length_exceeded"
    with pytest.raises(openai.AuthenticationError) as locked:
        OpenAI(base_url=locked_base_url, api_key="wrong").chat.completions.create(model=MODEL, messages=QUESTION)
    assert locked.value.code == "invalid_api_key"
    assert locked.value.request_id
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=MODEL, input="words")


def test_raw_responses_tell_their_request(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION, max_tokens=4)
    assert raw.parse().choices[0].finish_reason == "length"
    assert raw.headers["x-request-id"]
    assert raw.parse()._request_id == raw.headers["x-request-id"]


def test_many_at_once_asynchronously(base_url: str) -> None:
    async def ask() -> list[str | None]:
        async with AsyncOpenAI(base_url=base_url, api_key="any") as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model=MODEL, messages=QUESTION, seed=i) for i in range(32))
            )
        return [answer.choices[0].message.content for answer in answers]

    texts = asyncio.run(ask())
    assert all(texts)
    assert len(set(texts)) > 1


def test_a_stream_may_be_left_in_the_middle(client: OpenAI) -> None:
    for _ in range(4):
        with client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True) as stream:
            next(iter(stream))
    assert client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=1).choices
