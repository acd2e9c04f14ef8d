"""Never run: mypy reads it, and each `assert_type` is a type that a caller's editor must show."""

from __future__ import annotations

from typing import Literal, assert_type

from sdk import (
    AsyncInferenceClient,
    AsyncStream,
    ChatCompletionResponse,
    ChatCompletionStreamResponse,
    CompletionResponse,
    CompletionStreamResponse,
    InferenceClient,
    ModelList,
    Stream,
    Timeouts,
    XRequestConfig,
    get_model_list_client,
    get_model_list_client_async,
    inference_client,
    inference_client_async,
)
from sdk.deadline import Deadline

whole = XRequestConfig(seed=42)
assert_type(whole, XRequestConfig[Literal[False]])
streaming = XRequestConfig(seed=42, stream=True)
XRequestConfig(stop="\n").stop = ("a", "b")
XRequestConfig(stop=["a"]).stop = 3  # type: ignore[assignment]
assert_type(streaming, XRequestConfig[Literal[True]])
XRequestConfig(seed=42).stream = True  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
XRequestConfig(logprobs=2, max_completion_tokens=9).logprobs = True


def configs_that_change() -> None:
    config = XRequestConfig()
    assert_type(config, XRequestConfig[bool])
    config.seed = 42
    config.stream = True
    answer = inference_client("m", "q", request_config=config)
    if isinstance(answer, Stream):
        for chunk in answer:
            assert_type(chunk.choices[0].delta.content, str)
    else:
        assert_type(answer.choices[0].message.content, str)
    assert_type(inference_client("m", "q", request_config=XRequestConfig()), ChatCompletionResponse)


def takes_any(config: XRequestConfig) -> None:
    assert_type(config, XRequestConfig[bool])
    config.stream = not config.stream
    answer = inference_client("m", "q", request_config=config)
    assert_type(answer, ChatCompletionResponse | Stream[ChatCompletionStreamResponse])
    assert_type(InferenceClient("http://h").chat_stream("m", "q", config=config), Stream[ChatCompletionStreamResponse])


takes_any(whole)
takes_any(streaming)
takes_any(XRequestConfig(stream=True))
takes_any(XRequestConfig())


def functions(some: bool) -> None:
    assert_type(get_model_list_client(port="8000"), ModelList)
    assert_type(inference_client("m", "q"), ChatCompletionResponse)
    assert_type(inference_client("m", "q", [("a", "b")], request_config=whole), ChatCompletionResponse)
    assert_type(inference_client("m", "q", request_config=streaming), Stream[ChatCompletionStreamResponse])
    assert_type(inference_client("m", "q", is_chat_request=False), CompletionResponse)
    assert_type(
        inference_client("m", "q", is_chat_request=False, request_config=streaming), Stream[CompletionStreamResponse]
    )
    either = inference_client("m", "q", request_config=XRequestConfig(stream=some))
    assert isinstance(either, (ChatCompletionResponse, CompletionResponse, Stream))
    for chunk in inference_client("m", "q", request_config=streaming, url="http://h", timeout=3):
        assert_type(chunk.choices[0].delta.content, str)
    inference_client("m", "q", tiemout=3)  # type: ignore[call-overload]
    XRequestConfig(temprature=1)  # type: ignore[call-overload]


async def async_functions() -> None:
    assert_type(await get_model_list_client_async(), ModelList)
    assert_type(await inference_client_async("m", "q"), ChatCompletionResponse)
    assert_type(
        await inference_client_async("m", "q", request_config=streaming), AsyncStream[ChatCompletionStreamResponse]
    )
    assert_type(await inference_client_async("m", "q", is_chat_request=False), CompletionResponse)
    async for chunk in await inference_client_async("m", "q", request_config=streaming, is_chat_request=False):
        assert_type(chunk.choices[0].text, str)


async def clients() -> None:
    client = InferenceClient("http://h")
    answer = client.chat("m", "q", temperature=0)
    assert_type(answer, ChatCompletionResponse)
    client.chat("m", [{"role": "user", "content": "q"}, answer.choices[0].message, {"role": "user", "content": "r"}])
    assert_type(client.chat_stream("m", "q"), Stream[ChatCompletionStreamResponse])
    assert_type(client.complete("m", "q"), CompletionResponse)
    assert_type(client.complete_stream("m", "q"), Stream[CompletionStreamResponse])
    client.chat("m", "q", temprature=0)  # type: ignore[call-arg]
    client.chat("m", "q", [("a", "b")], "s", ["a.png"], [{"type": "function"}], "required", response_format={})
    client.chat_stream("m", "q", roles=[("a", "b")], is_multimodal=True, request_config=whole, timeout=3)
    client.complete("m", "q", tools=[])  # type: ignore[call-arg]
    call = answer.choices[0].message.function_call
    assert_type(answer.choices[0].message.refusal, str | None)
    assert_type(call.arguments if call else None, str | None)
    async with AsyncInferenceClient("http://h") as other:
        assert_type(await other.chat("m", "q"), ChatCompletionResponse)
        stream = await other.chat_stream("m", "q", tools=[{}], tool_choice="auto", history=[("a", "b")])
        assert_type(stream, AsyncStream[ChatCompletionStreamResponse])
        assert_type(stream.answers[0].reasoning, str)
        async for chunk in stream:
            assert_type(chunk.choices[0].delta.refusal, str | None)
        assert_type(await other.complete("m", "q"), CompletionResponse)
        assert_type(await other.complete_stream("m", "q"), AsyncStream[CompletionStreamResponse])
        assert_type(await other.models(), ModelList)


def phases(timeouts: Timeouts) -> None:
    Deadline(timeouts).enter("stall")
    Deadline(timeouts).enter("stal")  # type: ignore[arg-type]
    timeouts.limit_ns("first_bite")  # type: ignore[arg-type]
