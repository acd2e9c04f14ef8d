"""The blocking client: for scripts, threads, and calls inside a running event loop."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Unpack

import sdk  # for annotations: their names are loaded only when something reads them
from sdk.answer_limit import ArrivingBody
from sdk.base_client import BaseClient, ClientOptions
from sdk.call import Answered, Reply, Send, Step, Wait, with_call_facts
from sdk.chunks import ChatCompletionStreamResponse, CompletionStreamResponse
from sdk.deadline import Deadline, Timeouts
from sdk.errors import SDKError, TransportError
from sdk.messages import History, Roles
from sdk.request import Question, question, typed_config
from sdk.single_flight import SingleFlight
from sdk.stream import Stream
from sdk.transport.base import Exchange, Transport
from sdk.transport.blocking import BlockingTransport
from sdk.transport.proxy import needs_proxy

T = TypeVar("T")
AnyStream = Stream[ChatCompletionStreamResponse] | Stream[CompletionStreamResponse]


class InferenceClient(BaseClient):
    """Asks one API and waits for the answer. Threads may share it.

    `base_url` may have `/v1` or not, or be the full path of an endpoint; the options are those of `ClientOptions`.
    `transport` replaces the default one.

    >>> client = InferenceClient("http://127.0.0.1:8000")
    >>> client.chat("qwen-7b-chat", "Where is West Lake?", max_tokens=64).choices[0].message.content
    'In Hangzhou.'
    """

    def __init__(
        self, base_url: str | None = None, *, transport: Transport | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        super().__init__(base_url, **options)
        self._given = None if transport is None else _bounded(transport)
        self._transport = self._given
        self._connecting = Lock()
        self._single_flight = SingleFlight()

    def _connected(self) -> Transport:
        transport = self._transport
        if transport is None:
            with self._connecting:  # several threads may make the first call
                transport = self._transport = self._transport or self._default_transport()
        return transport

    def _default_transport(self) -> Transport:
        if needs_proxy(self.address.origin):
            from sdk.transport.httpx import HttpxTransport  # imports httpx2, which few programs need

            return HttpxTransport()
        return BlockingTransport()

    def models(self, *, timeout: float | Timeouts | None = None) -> sdk.ModelList:
        """The models that the server offers, fetched at each call. Raises as `chat`."""
        deadline = self._deadline(timeout)
        return self._drive(self._caller.models(deadline), deadline)

    def chat(
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
        return self._ask(asked, True, timeout).whole_chat()

    def chat_stream(
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
    ) -> Stream[ChatCompletionStreamResponse]:
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
        return Stream(self._ask(asked, True, timeout), ChatCompletionStreamResponse, self)

    def complete(
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
        return self._ask(asked, False, timeout).whole_completion()

    def complete_stream(
        self,
        model: str,
        prompt: str,
        *,
        config: sdk.XRequestConfig[Any] | None = None,
        request_config: sdk.XRequestConfig[Any] | None = None,
        timeout: float | Timeouts | None = None,
        **fields: Unpack[sdk.RequestFields],
    ) -> Stream[CompletionStreamResponse]:
        """The same as a stream of chunks; returns when the server has begun to answer. Raises as `chat`."""
        made = typed_config(config, request_config, fields, stream=True, chat=False)
        asked = question(model, prompt, request_config=made)
        return Stream(self._ask(asked, False, timeout), CompletionStreamResponse, self)

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
    ) -> sdk.ChatCompletionResponse | sdk.CompletionResponse | AnyStream:
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
        answered = self._ask(asked, is_chat_request, timeout)
        if asked.stream:
            if answered.is_chat:
                return Stream(answered, ChatCompletionStreamResponse, self)
            return Stream(answered, CompletionStreamResponse, self)
        if answered.is_chat:
            return answered.whole_chat()
        return answered.whole_completion()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        transport, self._transport = self._transport, self._given
        if transport is not None:
            transport.close()

    def __enter__(self) -> InferenceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, asked: Question, is_chat: bool | None, timeout: float | Timeouts | None) -> Answered:
        deadline = self._deadline(timeout)
        try:
            return self._drive(self._caller.ask(asked, deadline, is_chat), deadline)
        except SDKError as error:
            raise with_call_facts(error, asked, deadline) from error.__cause__

    def _drive(self, call: Generator[Step, Any, T], deadline: Deadline) -> T:
        transport = self._connected()
        try:
            step = next(call)
            while True:
                try:
                    reply = self._perform(step, transport, deadline)
                except SDKError as error:
                    step = call.throw(error)
                else:
                    step = call.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    def _perform(self, step: Step, transport: Transport, deadline: Deadline) -> Reply | None:
        if isinstance(step, Send):
            return _send(step, transport, deadline)
        if isinstance(step, Wait):
            time.sleep(step.seconds)
        else:
            self._single_flight.run(step.key, deadline, lambda: self._drive(step.call(), deadline))
        return None


def _bounded(transport: Transport) -> Transport:
    """The transport; unless it enforces the limits of its calls itself, they are enforced from outside."""
    if getattr(transport, "keeps_limits", False) is True:
        return transport
    from sdk.transport.bounded_blocking import BoundedBlockingTransport  # few programs have a transport of their own

    return BoundedBlockingTransport(transport)


def _send(step: Send, transport: Transport, deadline: Deadline) -> Reply:
    exchange = transport.send(step.request, deadline)
    if step.stream and exchange.head.is_stream:
        return Reply(exchange.head, exchange=exchange)
    return Reply(exchange.head, _read_body(exchange, deadline, step.body(exchange.head)))


def _read_body(exchange: Exchange, deadline: Deadline, body: ArrivingBody) -> bytes:
    try:
        while (block := exchange.read()) is not None and body.take(block.data):
            deadline.progress(block.arrived_ns)
    except TransportError:
        if exchange.head.status < 400:
            raise  # with an error status, the status matters more than the end of its body
    exchange.close()
    return body.whole()
