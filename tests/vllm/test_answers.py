"""What a real model answers through the SDK: in sense, the same whole and streamed, one at a time and many at once."""

from __future__ import annotations

import asyncio

import pytest

from sdk import (
    AsyncInferenceClient,
    CompletionResponse,
    InferenceClient,
    XRequestConfig,
    get_model_list_client,
    get_model_list_client_async,
    inference_client,
    inference_client_async,
)
from tests.support.vllm_server import MAX_MODEL_LEN, MODEL, VllmServer

pytestmark = pytest.mark.vllm

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."
GREEDY = XRequestConfig(temperature=0, max_tokens=48)
QUESTIONS = (FRANCE, "What is 2+2?", "Name three primary colors.", "Where is the capital of Zhejiang?")


def test_the_models_served(server: VllmServer) -> None:
    models = get_model_list_client(port=server.port)
    assert [(card.id, card.max_model_len, card.owned_by) for card in models.data] == [(MODEL, MAX_MODEL_LEN, "vllm")]
    again = asyncio.run(get_model_list_client_async(url=server.url))
    assert [card.id for card in again.data] == [MODEL]


def test_an_answer_in_sense(server: VllmServer) -> None:
    answer = inference_client(MODEL, FRANCE, request_config=GREEDY, port=server.port)
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", PARIS, "stop")
    assert (answer.model, answer.object) == (MODEL, "chat.completion")


@pytest.mark.parametrize("turn", [(FRANCE, PARIS), [FRANCE, PARIS]], ids=["tuple", "list"])
def test_the_history_is_read(server: VllmServer, turn: tuple[str, str] | list[str]) -> None:
    answer = inference_client(MODEL, "And of Italy?", [turn], request_config=GREEDY, port=server.port)
    assert answer.choices[0].message.content == "The capital of Italy is Rome."


def test_the_system_prompt_is_read(server: VllmServer) -> None:
    plain, told = (
        inference_client(MODEL, "Who are you?", None, system, request_config=GREEDY, port=server.port)
        for system in (None, "You are a pirate.")
    )
    assert "Aye" in told.choices[0].message.content
    assert "Aye" not in plain.choices[0].message.content


def test_a_stream_says_the_same(client: InferenceClient) -> None:
    whole = client.chat(MODEL, QUESTIONS[2], config=GREEDY)
    with client.chat_stream(MODEL, QUESTIONS[2], config=GREEDY) as stream:
        pieces = [chunk.choices[0].delta.content for chunk in stream]
    assert "".join(pieces) == stream.text == whole.choices[0].message.content
    assert len(pieces) > 5
    assert stream.finish_reason == whole.choices[0].finish_reason == "stop"
    assert stream.usage == whole.usage


def test_five_coroutines_made_outside_any_loop_and_loop_after_loop(server: VllmServer) -> None:
    config = XRequestConfig(temperature=0, max_tokens=48)

    async def gathered() -> list[str]:
        answers = await asyncio.gather(*calls)
        return [answer.choices[0].message.content for answer in answers]

    async def streamed() -> str:
        stream = await inference_client_async(MODEL, FRANCE, request_config=streaming, port=server.port)
        return "".join([chunk.choices[0].delta.content async for chunk in stream])

    for _ in range(2):
        calls = [inference_client_async(MODEL, FRANCE, request_config=config, port=server.port) for _ in range(5)]
        assert asyncio.run(gathered()) == [PARIS] * 5
    streaming = XRequestConfig(stream=True, temperature=0, max_tokens=48)
    assert [asyncio.run(streamed()) for _ in range(2)] == [PARIS] * 2


def test_sixteen_streams_at_once_say_what_each_says_alone(client: InferenceClient, server: VllmServer) -> None:
    alone = {question: client.chat(MODEL, question, config=GREEDY) for question in QUESTIONS}

    async def all_at_once() -> list[tuple[str, str, object]]:
        all_began = asyncio.Barrier(16)

        async def one(question: str) -> tuple[str, str, object]:
            async with await many.chat_stream(MODEL, question, config=GREEDY) as stream:
                await anext(stream)
                await all_began.wait()
                async for _ in stream:
                    pass
            return question, stream.text, stream.usage

        async with AsyncInferenceClient(server.url) as many:
            return await asyncio.gather(*(one(question) for question in QUESTIONS * 4))

    for question, text, usage in asyncio.run(all_at_once()):
        assert text == alone[question].choices[0].message.content
        assert usage == alone[question].usage


def test_completions_follow_the_prompt(client: InferenceClient, server: VllmServer) -> None:
    prompt = "1, 2, 3, 4, 5,"
    config = XRequestConfig(temperature=0, max_tokens=16)
    whole = inference_client(MODEL, prompt, is_chat_request=False, request_config=config, port=server.port)
    assert whole.choices[0].text.startswith(" 6, 7, 8")
    assert (whole.object, whole.choices[0].finish_reason, whole.usage.completion_tokens) == (
        "text_completion",
        "length",
        16,
    )
    with client.complete_stream(MODEL, prompt, config=config) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text
    assert stream.usage == whole.usage


def test_a_model_without_a_chat_template_completes(base_server: VllmServer) -> None:
    client = InferenceClient(base_server.url)
    refused = base_server.metric("http_requests_total", handler="/v1/chat/completions")
    for _ in range(2):
        answer = client.infer(MODEL, "1, 2, 3, 4, 5,", request_config=GREEDY)
        assert isinstance(answer, CompletionResponse)
        assert answer.choices[0].text.startswith(" 6, 7, 8")
    refused = base_server.metric("http_requests_total", handler="/v1/chat/completions") - refused
    assert refused == 1, "the refusal is remembered"


def test_what_is_left_open_is_the_servers_to_decide(client: InferenceClient) -> None:
    assert [client.chat(MODEL, FRANCE).choices[0].message.content for _ in range(2)] == [PARIS] * 2
