"""litellm: calls by its providers for such servers, its classes of errors, and a router that falls back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import litellm
import pytest
from litellm import Router
from pydantic import BaseModel

SEEDS = range(40)
QUESTION = [{"role": "user", "content": "What is a tide?"}]
LONG = [{"role": "user", "content": "word " * 2000}]
# the provider for any server of OpenAI's kind, and the one for vLLM
PROVIDERS = ("openai", "hosted_vllm")


class Talk(BaseModel):
    title: str
    minutes: int


class Programme(BaseModel):
    talks: list[Talk]
    keynote: Talk | None


WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a place.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}


def ask(url: str, provider: str = "openai", **options: Any) -> Any:
    options = {"messages": QUESTION, "api_base": url, "api_key": "any", "num_retries": 0, **options}
    return litellm.completion(model=f"{provider}/{options.pop('model', 'sim-chat')}", **options)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_chat_whole_and_streamed(base_url: str, provider: str) -> None:
    whole = ask(base_url, provider, seed=1)
    assert whole.choices[0].finish_reason == "stop"
    chunks = list(ask(base_url, provider, seed=1, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    built = litellm.stream_chunk_builder(chunks, messages=QUESTION)
    assert built.choices[0].message.content == text
    assert built.usage.completion_tokens == whole.usage.completion_tokens
    assert built.usage.prompt_tokens == whole.usage.prompt_tokens


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_is_called_and_answered(base_url: str, provider: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    message = ask(base_url, provider, messages=messages, tools=[WEATHER_TOOL]).choices[0].message
    (call,) = message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments).keys() == {"place"}
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}]
    second = ask(base_url, provider, messages=messages, tools=[WEATHER_TOOL])
    assert second.choices[0].message.content
    assert not second.choices[0].message.tool_calls


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_streamed_tool_call_is_built_again(base_url: str, provider: str) -> None:
    chunks = list(ask(base_url, provider, tools=[WEATHER_TOOL], tool_choice="required", stream=True))
    (call,) = litellm.stream_chunk_builder(chunks).choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments).keys() == {"place"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_pydantic_response_format(base_url: str, provider: str) -> None:
    programmes = []
    for seed in SEEDS:
        answer = ask(base_url, provider, response_format=Programme, seed=seed)
        programmes.append(Programme.model_validate_json(answer.choices[0].message.content))
    assert {programme.keynote is None for programme in programmes} == {True, False}
    assert len({programme.model_dump_json() for programme in programmes}) > 1


def test_json_mode_with_a_schema_beside_it(base_url: str) -> None:
    schema = {"type": "json_object", "schema": Talk.model_json_schema()}
    for seed in SEEDS:
        answer = ask(base_url, extra_body={"response_format": schema}, seed=seed)
        Talk.model_validate_json(answer.choices[0].message.content)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_prompt_above_the_context_is_that_error(small_base_url: str, provider: str, stream: bool) -> None:
    with pytest.raises(litellm.ContextWindowExceededError):
        ask(small_base_url, provider, model="sim-small", messages=LONG, stream=stream)


def test_an_answer_above_the_context_is_that_error(small_base_url: str) -> None:
    with pytest.raises(litellm.ContextWindowExceededError):
        ask(small_base_url, model="sim-small", max_tokens=100_000)


def test_errors_have_the_package_s_own_classes(base_url: str, locked_base_url: str) -> None:
    with pytest.raises(litellm.NotFoundError):
        ask(base_url, model="gpt-unknown")
    with pytest.raises(litellm.AuthenticationError):
        ask(locked_base_url)
    with pytest.raises(litellm.BadRequestError, match="temperature"):
        ask(base_url, temperature=9)


@pytest.fixture
def router(base_url: str, small_base_url: str) -> Router:
    def deployment(name: str, model: str, url: str) -> dict[str, Any]:
        return {"model_name": name, "litellm_params": {"model": model, "api_base": url, "api_key": "any"}}

    return Router(
        model_list=[
            deployment("small", "openai/sim-small", small_base_url),
            deployment("large", "openai/sim-chat", base_url),
        ],
        context_window_fallbacks=[{"small": ["large"]}],
        num_retries=0,
    )


def test_the_router_falls_back_to_the_larger_context(router: Router) -> None:
    assert router.completion(model="small", messages=QUESTION, max_tokens=8).model.endswith("sim-small")
    fallen_back = router.completion(model="small", messages=LONG, max_tokens=8)
    assert fallen_back.model.endswith("sim-chat")
    assert fallen_back.usage.prompt_tokens > 512


def test_the_router_falls_back_for_streams_and_asynchronously(router: Router) -> None:
    async def ask_both() -> tuple[str, str]:
        whole = await router.acompletion(model="small", messages=LONG, max_tokens=8)
        stream = await router.acompletion(model="small", messages=LONG, max_tokens=8, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        return whole.choices[0].message.content, "".join(pieces)

    whole, streamed = asyncio.run(ask_both())
    assert whole
    assert streamed


def test_a_text_completion(base_url: str) -> None:
    answer = litellm.text_completion(
        model="text-completion-openai/sim-chat",
        prompt="Once upon a time",
        api_base=base_url,
        api_key="any",
        max_tokens=8,
    )
    assert answer.choices[0].text
