"""Functions that ask a server without a client to create: one is kept for each endpoint and key.

A coroutine may be created outside any event loop, and `asyncio.run` may be called many times: nothing here touches a
loop until it is awaited.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from typing_extensions import TypedDict, Unpack

import sdk  # for annotations: their names are loaded only when something reads them
from sdk.base_client import NO_KEY
from sdk.client_cache import ClientCache
from sdk.deadline import Timeouts, timeouts
from sdk.messages import History, Roles
from sdk.request import config_class, refuse_media

if TYPE_CHECKING:
    from sdk.async_client import AnyAsyncStream, AsyncInferenceClient
    from sdk.chunks import ChatCompletionStreamResponse, CompletionStreamResponse
    from sdk.client import AnyStream, InferenceClient
    from sdk.config import XRequestConfig
    from sdk.stream import AsyncStream, Stream
    from sdk.types import ChatCompletionResponse, CompletionResponse, Query, ToolChoice

    AnyAnswer = ChatCompletionResponse | CompletionResponse
    Streaming = XRequestConfig[Literal[True]]
    Whole = XRequestConfig[Literal[False]]

Images = Sequence[Any]
Tools = Sequence[Mapping[str, Any]]


class Where(TypedDict, total=False):
    """Keyword arguments that choose the server.

    The address is `url`, else `host` and `port`, else `OPENAI_BASE_URL`, else port 8000 of this machine. `api_key` is
    sent as a bearer token, and None sends none; without it, `OPENAI_API_KEY` applies.
    """

    host: str | None
    port: int | str | None
    api_key: str | None
    url: str | None
    timeout: float | Timeouts | None


class Options(Where, total=False):
    """Keyword arguments of a call: `Where`, and rarely needed ones.

    `is_chat` is an older name of `is_chat_request`. Requests cannot carry `audios` and `videos`, which raise an error.
    """

    is_multimodal: bool | None
    is_chat: bool | None
    roles: Roles | None
    audios: Images | None
    videos: Images | None


def get_model_list_client(
    host: str | None = None,
    port: int | str | None = None,
    api_key: str | None = NO_KEY,
    *,
    url: str | None = None,
    timeout: float | Timeouts | None = None,
) -> sdk.ModelList:
    """The models that a server offers: the base model first, then its adapters.

    >>> get_model_list_client().data[0].id
    'qwen-7b-chat'
    """
    return _sync_client(host, port, api_key, url).models(timeout=timeouts(timeout))


async def get_model_list_client_async(
    host: str | None = None,
    port: int | str | None = None,
    api_key: str | None = NO_KEY,
    *,
    url: str | None = None,
    timeout: float | Timeouts | None = None,
) -> sdk.ModelList:
    """`get_model_list_client` as a coroutine."""
    return await _async_client(host, port, api_key, url).models(timeout=timeouts(timeout))


@overload
def inference_client(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[True] | None = None,
    request_config: Whole | None = None,
    **options: Unpack[Options],
) -> ChatCompletionResponse: ...
@overload
def inference_client(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[True] | None = None,
    request_config: Streaming,
    **options: Unpack[Options],
) -> Stream[ChatCompletionStreamResponse]: ...
@overload
def inference_client(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[False],
    request_config: Whole | None = None,
    **options: Unpack[Options],
) -> CompletionResponse: ...
@overload
def inference_client(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[False],
    request_config: Streaming,
    **options: Unpack[Options],
) -> Stream[CompletionStreamResponse]: ...
@overload
def inference_client(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[True] | None = None,
    request_config: XRequestConfig[bool],
    **options: Unpack[Options],
) -> ChatCompletionResponse | Stream[ChatCompletionStreamResponse]: ...
@overload
def inference_client(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: bool | None = None,
    request_config: XRequestConfig[bool] | None = None,
    **options: Unpack[Options],
) -> AnyAnswer | AnyStream: ...


def inference_client(
    model_type: str,
    query: sdk.Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: sdk.ToolChoice | None = "auto",
    *,
    is_chat_request: bool | None = None,
    request_config: sdk.XRequestConfig[Any] | None = None,
    **options: Unpack[Options],
) -> sdk.ChatCompletionResponse | sdk.CompletionResponse | sdk.AnyStream:
    """Ask a model, and wait for the answer.

    `model_type` names a model or an adapter of the server. `query` is the question (or prompt), or a list of messages;
    `history` holds the turns before it as (question, answer) pairs. `is_chat_request` chooses between chat and
    completion; without it the model's card does, and without a card the call is a chat. With `request_config.stream`
    the answer is a `Stream` of chunks. For the address of the server see `Where`; `timeout` is a total in seconds or
    `Timeouts`.

    Raises ConfigError before anything is sent; then TransportError, StatusError, StreamError or ProtocolError.

    >>> inference_client("qwen-7b-chat", "Where is West Lake?").choices[0].message.content
    'In Hangzhou.'
    """
    where, call = _sort(options, is_chat_request)
    return _sync_client(*where).infer(
        model_type, query, history, system, images, tools, tool_choice, request_config=request_config, **call
    )


@overload
async def inference_client_async(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[True] | None = None,
    request_config: Whole | None = None,
    **options: Unpack[Options],
) -> ChatCompletionResponse: ...
@overload
async def inference_client_async(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[True] | None = None,
    request_config: Streaming,
    **options: Unpack[Options],
) -> AsyncStream[ChatCompletionStreamResponse]: ...
@overload
async def inference_client_async(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[False],
    request_config: Whole | None = None,
    **options: Unpack[Options],
) -> CompletionResponse: ...
@overload
async def inference_client_async(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[False],
    request_config: Streaming,
    **options: Unpack[Options],
) -> AsyncStream[CompletionStreamResponse]: ...
@overload
async def inference_client_async(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: Literal[True] | None = None,
    request_config: XRequestConfig[bool],
    **options: Unpack[Options],
) -> ChatCompletionResponse | AsyncStream[ChatCompletionStreamResponse]: ...
@overload
async def inference_client_async(
    model_type: str,
    query: Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: ToolChoice | None = "auto",
    *,
    is_chat_request: bool | None = None,
    request_config: XRequestConfig[bool] | None = None,
    **options: Unpack[Options],
) -> AnyAnswer | AnyAsyncStream: ...


def inference_client_async(
    model_type: str,
    query: sdk.Query,
    history: History | None = None,
    system: str | None = None,
    images: Images | None = None,
    tools: Tools | None = None,
    tool_choice: sdk.ToolChoice | None = "auto",
    *,
    is_chat_request: bool | None = None,
    request_config: sdk.XRequestConfig[Any] | None = None,
    **options: Unpack[Options],
) -> Any:
    """`inference_client` as a coroutine; read a stream with `async for`.

    The config is read when the function is called, so it may be changed before the coroutine is awaited.

    >>> async for chunk in await inference_client_async(model, "Hi", request_config=XRequestConfig(stream=True)):
    ...     print(chunk.choices[0].delta.content, end="", flush=True)
    """
    where, call = _sort(options, is_chat_request)
    return _async_client(*where).infer(
        model_type, query, history, system, images, tools, tool_choice, request_config=request_config, **call
    )


def _sync_client(host: str | None, port: int | str | None, api_key: str | None, url: str | None) -> InferenceClient:
    from sdk.client import InferenceClient  # each kind of client imports modules that the other does not need

    return _clients.client(InferenceClient, host, port, api_key, url)


def _async_client(
    host: str | None, port: int | str | None, api_key: str | None, url: str | None
) -> AsyncInferenceClient:
    from sdk.async_client import AsyncInferenceClient

    return _clients.client(AsyncInferenceClient, host, port, api_key, url)


_clients = ClientCache()
os.register_at_fork(after_in_child=_clients.unlock)


def _sort(
    options: Options, is_chat_request: bool | None
) -> tuple[tuple[str | None, int | str | None, str | None, str | None], dict[str, Any]]:
    """The options that choose the client, and those of its call."""
    refuse_media(options)
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}; {_remedy(min(unknown))}")
    where = (
        options.get("host"),
        options.get("port"),
        options.get("api_key", NO_KEY),
        options.get("url"),
    )
    call: dict[str, Any] = {name: options.get(name) for name in ("is_multimodal", "roles")}
    call["timeout"] = timeouts(options.get("timeout"))  # at each call, because the environment may change
    call["is_chat_request"] = options.get("is_chat") if is_chat_request is None else is_chat_request
    return where, call


def _remedy(name: str) -> str:
    """What to do about an unknown keyword argument."""
    if name in config_class().model_fields:
        return f"it is a field of the config: request_config=XRequestConfig({name}=…)"
    if name in _OTHER_NAMES:
        return f"did you mean {_OTHER_NAMES[name]}?"
    return f"known: {', '.join(Options.__annotations__)}"


# The names that the clients and other libraries use for these arguments.
_OTHER_NAMES = {
    "base_url": "url",
    "config": "request_config",
    "messages": "query",
    "model": "model_type",
    "prompt": "query",
    "timeouts": "timeout",
}
