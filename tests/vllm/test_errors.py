"""What vLLM refuses, as the SDK tells it: its own words, the right class, and the facts of the call."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from sdk import (
    BadRequestError,
    InferenceClient,
    ModelNotFoundError,
    NotFoundError,
    StatusError,
    StreamServerError,
    inference_client,
    inference_client_async,
)
from tests.support.vllm_server import MAX_MODEL_LEN, MODEL, VllmServer

pytestmark = pytest.mark.vllm


def check_unknown_model(error: ModelNotFoundError, server: VllmServer) -> None:
    assert f"The model `smollm` does not exist. Valid aliases: {MODEL}." in str(error)
    assert (error.status, error.param, error.model) == (404, "model", "smollm")
    assert error.url == f"{server.url}/chat/completions"
    assert (error.attempts, str(pickle.loads(pickle.dumps(error)))) == (1, str(error))


def test_an_unknown_model_and_what_is_served_instead(server: VllmServer) -> None:
    with pytest.raises(ModelNotFoundError) as sync:
        inference_client("smollm", "hi", port=server.port)
    check_unknown_model(sync.value, server)
    with pytest.raises(ModelNotFoundError) as from_asyncio:
        asyncio.run(inference_client_async("smollm", "hi", port=server.port))
    check_unknown_model(from_asyncio.value, server)


def test_an_unknown_model_asked_for_a_stream(client: InferenceClient) -> None:
    with pytest.raises(ModelNotFoundError, match=MODEL):
        client.chat_stream("smollm", "hi")
    with pytest.raises(ModelNotFoundError, match=MODEL):
        client.complete("smollm", "hi")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"temperature": 3.5}, "temperature", r"temperature must be in \[0, 2\], got 3.5"),
        ({"max_tokens": "many"}, "body.max_tokens", "valid integer"),
        ({"max_tokens": 5000}, "max_tokens", f"cannot be greater than max_model_len={MAX_MODEL_LEN}"),
        ({"max_tokens": 5, "min_tokens": 10}, None, "min_tokens must be less than or equal to max_tokens=5"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_field_that_does_not_fit(
    client: InferenceClient, body: dict[str, object], param: str | None, said: str, stream: bool
) -> None:
    ask = client.chat_stream if stream else client.chat
    with pytest.raises(BadRequestError, match=said) as refused:
        ask(MODEL, "hi", extra_body=body)
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"logprobs": True, "top_logprobs": 50}, "greater than max allowed: 20"),
        ({"structured_outputs": {"regex": "("}}, "invalid regex"),
    ],
    ids=str,
)
def test_what_the_engine_finds_out_comes_as_a_status_or_in_the_stream(
    client: InferenceClient, body: dict[str, object], said: str
) -> None:
    with pytest.raises(BadRequestError, match=said):
        client.chat(MODEL, "hi", extra_body=body)
    with client.chat_stream(MODEL, "hi", extra_body=body) as stream:  # vLLM has said 200 by then
        with pytest.raises(StreamServerError, match=said) as refused:
            next(stream)
        assert (refused.value.code, refused.value.type, refused.value.partial) == (400, "BadRequestError", "")


def test_a_prompt_too_long(client: InferenceClient) -> None:
    with pytest.raises(BadRequestError, match=f"maximum context length is {MAX_MODEL_LEN} tokens") as chat:
        client.chat(MODEL, "hello " * (MAX_MODEL_LEN + 1))
    assert chat.value.param == "input_tokens"
    with pytest.raises(BadRequestError, match=f"maximum context length is {MAX_MODEL_LEN} tokens"):
        client.complete_stream(MODEL, "hello " * (MAX_MODEL_LEN + 1))


def test_what_this_model_cannot_do(server: VllmServer) -> None:
    with pytest.raises(BadRequestError, match="is not a multimodal model"):
        inference_client(MODEL, "What is this?", images=["https://127.0.0.1:1/x.png"], port=server.port)
    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    with pytest.raises(BadRequestError, match="--tool-call-parser"):
        inference_client(MODEL, "How is the weather?", tools=[weather], port=server.port)


def test_a_path_that_is_not_there(server: VllmServer) -> None:
    with InferenceClient(f"{server.root}/elsewhere/v1") as client, pytest.raises(NotFoundError) as missing:
        client.chat(MODEL, "hi")
    assert not isinstance(missing.value, ModelNotFoundError)


def test_after_all_that_it_answers(client: InferenceClient, server: VllmServer) -> None:
    with pytest.raises(StatusError):
        client.chat("smollm", "hi")
    assert client.chat(MODEL, "Say hello.", temperature=0, max_tokens=8).choices[0].message.content
    assert server.metric("vllm:num_requests_running") == 0
