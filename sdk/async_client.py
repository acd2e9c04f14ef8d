"""The client for asyncio applications."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Unpack

import sdk  # for annotations: their names are loaded only when something reads them
from sdk.answer_limit import ArrivingBody
from sdk.base_client import BaseClient, ClientOptions
from sdk.call import Answered, Once, Reply, Send, Step, Wait, with_call_facts
from sdk.chunks import ChatCompletionStreamResponse, CompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.errors import SDKError, TransportError
from sdk.loop_transports import LoopTransports
from sdk.messages import History, Roles
from sdk.request import Question, question, typed_config
from sdk.single_flight import LoopSingleFlight
from sdk.stream import AsyncStream
from sdk.transport.base import AsyncExchange, AsyncTransport, Origin
from sdk.transport.direct import DirectTransport
from sdk.transport.event_loop import sleep
from sdk.transport.proxy import needs_proxy

T = TypeVar("T")
AnyAsyncStream = AsyncStream[ChatCompletionStreamResponse] | AsyncStream[CompletionStreamResponse]


class AsyncInferenceClient(BaseClient):
    """Asks one API from asyncio. It may be created anywhere and used from several event loops, one after another.

    Connections belong to a loop and close when it ends, so closing the client is optional. The arguments are those of
    `InferenceClient`, but `transport` is a function that creates the transport; it is called once for each loop.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        transport: Callable[[], AsyncTransport] | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(base_url, **options)
        # not a bound method: a client that refers to itself would keep its connections until a garbage collection
        make = transport or partial(_default_transport, self.address.origin)
        self._transports = LoopTransports(make, transport or _general_transport)
        self._single_flight = LoopSingleFlight()

    async def models(self, *, timeout: float | Timeouts | None = None) -> sdk.ModelList:
        """The models that the server offers, fetched at each call. Raises as `chat`."""
        deadline = self._deadline(timeout)
        return await self._drive(self._caller.models(deadline), deadline)

    async def chat(
        self,
        model: str,
        messages: sdk.Query,
        history: History | None = None,
        system: str | None = None,
        images: Sequence[Any] | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: sdk.ToolChoice | None = "auto",
        *,
        is_multimodal: bool | None = None,
        roles: Roles | None = None,
        config: sdk.XRequestConfig[Any] | None = None,
        request_config: sdk.XRequestConfig[Any] | None = None,
        timeout: float | Timeouts | None = None,
        **fields: Unpack[sdk.RequestFields],
    ) -> sdk.ChatCompletionResponse:
        """The answer to a chat; `messages` is a question or a list of messages, `fields` are those of `XRequestConfig`.

        The other arguments are those of `inference_client`; `config` is short for `request_config`. Raises
        TransportError, StatusError, StreamServerError, ProtocolError or ConfigError.
        """
        asked = question(
            model,
            messages,
            history,
            system,
            images,
            tools,
            tool_choice,
            request_config=typed_config(config, request_config, fields, stream=False, chat=True),
            is_multimodal=is_multimodal,
            roles=roles,
        )
        return (await self._ask(asked, True, timeout)).whole_chat()

    async def chat_stream(
        self,
        model: str,
        messages: sdk.Query,
        history: History | None = None,
        system: str | None = None,
        images: Sequence[Any] | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: sdk.ToolChoice | None = "auto",
        *,
        is_multimodal: bool | None = None,
        roles: Roles | None = None,
        config: sdk.XRequestConfig[Any] | None = None,
        request_config: sdk.XRequestConfig[Any] | None = None,
        timeout: float | Timeouts | None = None,
        **fields: Unpack[sdk.RequestFields],
    ) -> AsyncStream[ChatCompletionStreamResponse]:
        """The same as a stream of chunks; returns when the server has begun to answer. Raises as `chat`."""
        asked = question(
            model,
            messages,
            history,
            system,
            images,
            tools,
            tool_choice,
            request_config=typed_config(config, request_config, fields, stream=True, chat=True),
            is_multimodal=is_multimodal,
            roles=roles,
        )
        return AsyncStream(await self._ask(asked, True, timeout), ChatCompletionStreamResponse, self)

    async def complete(
        self,
        model: str,
        prompt: str,
        *,
        config: sdk.XRequestConfig[Any] | None = None,
        request_config: sdk.XRequestConfig[Any] | None = None,
        timeout: float | Timeouts | None = None,
        **fields: Unpack[sdk.RequestFields],
    ) -> sdk.CompletionResponse:
        """The text that follows a prompt. Raises as `chat`."""
        made = typed_config(config, request_config, fields, stream=False, chat=False)
        asked = question(model, prompt, request_config=made)
        return (await self._ask(asked, False, timeout)).whole_completion()

    async def complete_stream(
        self,
        model: str,
        prompt: str,
        *,
        config: sdk.XRequestConfig[Any] | None = None,
        request_config: sdk.XRequestConfig[Any] | None = None,
        timeout: float | Timeouts | None = None,
        **fields: Unpack[sdk.RequestFields],
    ) -> AsyncStream[CompletionStreamResponse]:
        """The same as a stream of chunks; returns when the server has begun to answer. Raises as `chat`."""
        made = typed_config(config, request_config, fields, stream=True, chat=False)
        asked = question(model, prompt, request_config=made)
        return AsyncStream(await self._ask(asked, False, timeout), CompletionStreamResponse, self)

    def infer(
        self,
        model: str,
        query: sdk.Query,
        history: History | None = None,
        system: str | None = None,
        images: Sequence[Any] | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: sdk.ToolChoice | None = "auto",
        *,
        is_chat_request: bool | None = None,
        is_multimodal: bool | None = None,
        request_config: sdk.XRequestConfig[Any] | None = None,
        roles: Roles | None = None,
        timeout: float | Timeouts | None = None,
    ) -> Coroutine[Any, Any, sdk.ChatCompletionResponse | sdk.CompletionResponse | AnyAsyncStream]:
        """Chat or completion, whole or streamed, by the arguments and the model's card; see `inference_client`."""
        asked = question(
            model,
            query,
            history,
            system,
            images,
            tools,
            tool_choice,
            request_config=request_config,
            is_multimodal=is_multimodal,
            roles=roles,
        )
        return self._infer(asked, is_chat_request, timeout)  # the arguments are read now, even if it is awaited later

    async def _infer(
        self, asked: Question, is_chat: bool | None, timeout: float | Timeouts | None
    ) -> sdk.ChatCompletionResponse | sdk.CompletionResponse | AnyAsyncStream:
        answered = await self._ask(asked, is_chat, timeout)
        if asked.stream:
            if answered.is_chat:
                return AsyncStream(answered, ChatCompletionStreamResponse, self)
            return AsyncStream(answered, CompletionStreamResponse, self)
        if answered.is_chat:
            return answered.whole_chat()
        return answered.whole_completion()

    async def aclose(self) -> None:
        """Close the connections of the running loop."""
        await self._transports.aclose()

    async def __aenter__(self) -> AsyncInferenceClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _ask(self, asked: Question, is_chat: bool | None, timeout: float | Timeouts | None) -> Answered:
        deadline = self._deadline(timeout)
        try:
            return await self._drive(self._caller.ask(asked, deadline, is_chat), deadline)
        except SDKError as error:
            raise with_call_facts(error, asked, deadline) from error.__cause__

    async def _drive(self, call: Generator[Step, Any, T], deadline: Deadline) -> T:
        transport = await self._transports.of_running_loop()
        try:
            step = next(call)
            while True:
                try:
                    reply = await (
                        _send(step, transport, deadline) if isinstance(step, Send) else self._pause(step, deadline)
                    )
                except SDKError as error:
                    step = call.throw(error)
                else:
                    step = call.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _pause(self, step: Wait | Once, deadline: Deadline) -> None:
        if isinstance(step, Wait):
            await sleep(step.seconds)
        else:
            await self._single_flight.run(step.key, deadline, lambda: self._drive(step.call(), deadline))


def _default_transport(origin: Origin) -> AsyncTransport:
    return _general_transport() if needs_proxy(origin) else DirectTransport()


def _general_transport() -> AsyncTransport:
    """The transport for proxies and for trio."""
    from sdk.transport.httpx import AsyncHttpxTransport  # imports httpx2, which few programs need

    return AsyncHttpxTransport()


async def _send(step: Send, transport: AsyncTransport, deadline: Deadline) -> Reply:
    exchange = await transport.send(step.request, deadline)
    if step.stream and exchange.head.is_stream:
        return Reply(exchange.head, exchange=exchange)
    return Reply(exchange.head, await _read_body(exchange, deadline, step.body(exchange.head)))


async def _read_body(exchange: AsyncExchange, deadline: Deadline, body: ArrivingBody) -> bytes:
    try:
        while (block := await exchange.read()) is not None and body.take(block.data):
            deadline.progress(block.arrived_ns)
    except TransportError:
        if exchange.head.status < 400:
            raise  # with an error status, the status matters more than the end of its body
    await exchange.aclose()
    return body.whole()
