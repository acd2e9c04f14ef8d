"""The server under test: the only module that imports the SDK (addresses, transport, events, errors)."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import msgspec

from bench.answer_limits import FIRST_ANSWER_S, MOST_ERROR_BYTES, MOST_QUESTION_BYTES, QUESTION_S
from bench.headers import Header
from bench.outcome import Outcome, status_outcome
from bench.redaction import Redactor
from bench.workload.body import BodyForm, EndpointKind
from bench.workload.datasets import Prompt
from sdk.address import Address, parse_address
from sdk.body import excerpt, read_json, whole_characters
from sdk.content import split_content
from sdk.deadline import Deadline, Timeouts
from sdk.error_body import status_error
from sdk.errors import (
    ConfigError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    FirstByteTimeoutError,
    PoolTimeoutError,
    ProtocolError,
    RequestTimeoutError,
    SDKError,
    StallTimeoutError,
    StatusError,
    TLSError,
)
from sdk.reported import error_facts
from sdk.sse import EventDecoder, TypedEvent
from sdk.transport.base import AsyncExchange, Head, Origin, Request
from sdk.transport.connect_errors import connect_error
from sdk.transport.connection import Connection as PoolConnection
from sdk.transport.direct import DirectTransport
from sdk.transport.exchange import DirectExchange
from sdk.transport.http1 import ResponseParser, encode_request
from sdk.transport.origin_pool import IDLE_S
from sdk.transport.pool import Pool

__all__ = [
    "IDLE_S",
    "AsyncExchange",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionLostError",
    "Deadline",
    "DirectExchange",
    "DirectTransport",
    "EventDecoder",
    "Head",
    "Origin",
    "Pool",
    "PoolConnection",
    "ProtocolError",
    "Request",
    "RequestTimeoutError",
    "ResponseParser",
    "SDKError",
    "StatusError",
    "TLSError",
    "Target",
    "TargetAddress",
    "Timeouts",
    "TypedEvent",
    "connect_error",
    "encode_request",
    "error_message",
    "event_error_message",
    "excerpt",
    "read_address",
    "read_json",
    "refusal",
    "split_content",
    "status_failure",
    "whole_characters",
]

_AFTER_PATH = re.compile(r"([?#])[^'\s]+")
_IN_PATHS = "/%:@!$&'()*+,;=~"  # RFC 3986 §3.3, and what is quoted already
_PATHS: dict[EndpointKind, str] = {"chat": "/chat/completions", "completions": "/completions"}


@dataclass(frozen=True, slots=True)
class TargetAddress:
    """Where requests go: the address of the API, and the path of the endpoint if the user gave one."""

    api: Address
    path: str | None = None

    @property
    def kind(self) -> EndpointKind | None:
        """The endpoint that the path names, if any."""
        if self.path is None:
            return None
        return "chat" if self.path.rstrip("/").endswith("/chat/completions") else "completions"

    def endpoint(self, kind: EndpointKind) -> str:
        """The request target for prompts."""
        return self.path or self.api.target(_PATHS[kind])

    @property
    def root(self) -> str:
        """The path before `/v1`, for routes such as /tokenize."""
        return self.api.prefix.removesuffix("/v1")

    def __str__(self) -> str:
        return str(self.api)


def read_address(url: str, endpoint: str | None = None) -> TargetAddress:
    """The address of `url`, with `endpoint` as its path if that is one, joined as `vllm bench serve` does.

    Raises ValueError for what is no address or no endpoint of prompts.
    """
    try:
        api = parse_address(url)
    except ConfigError as error:
        advice = "give the key as --api-key" if error.instead == "api_key" else error.remedy
        said = f"{error.problem}; {advice}" if advice else error.problem
        raise ValueError(_AFTER_PATH.sub(r"\1…", said)) from None  # users put keys there
    given = url.rstrip("/")
    if endpoint is None:
        path = next((api.target(path) for path in _PATHS.values() if given.endswith(path)), None)
        return TargetAddress(api, path)
    if not endpoint.rstrip("/").endswith("/completions"):
        raise ValueError(f"{endpoint!r} is not an endpoint: use chat, completions, or a path that ends in /completions")
    prefix = (
        api.prefix if given.endswith(api.prefix) and not endpoint.startswith("/v1/") else api.prefix.removesuffix("/v1")
    )
    return TargetAddress(api, prefix + quote(endpoint, safe=_IN_PATHS))


class Target:
    """A server, and the requests to it for the load and around it. Belongs to one event loop."""

    def __init__(
        self,
        address: TargetAddress,
        *,
        api_key: str | None,
        timeouts: Timeouts,
        headers: Sequence[Header] = (),
        unused_proxy: str | None = None,
    ) -> None:
        self.address, self.unused_proxy = address, unused_proxy
        self._transport = DirectTransport(max_connections=1)  # for requests besides the load, which may be repeated
        self._timeouts = timeouts
        is_given = timeouts.total != Timeouts().total
        self._first_timeouts = timeouts if is_given else replace(timeouts, total=FIRST_ANSWER_S)
        self._question_timeouts = replace(timeouts, total=min(timeouts.total or QUESTION_S, QUESTION_S))
        key = (("Authorization", f"Bearer {api_key}"),) if api_key else ()
        self._given = (*key, *headers)
        self._taken = {name.lower() for name, _ in headers}
        self.sends_key = bool(key) or "authorization" in self._taken
        self.redact = Redactor([value for _, value in self._given])

    def deadline(self, *, first: bool = False) -> Deadline:
        """The time limits of one request, from now on; the `first` requests, before the load, have shorter ones."""
        return Deadline(self._first_timeouts if first else self._timeouts)

    def prompt_request(self, form: BodyForm, prompt: Prompt, request_id: str, max_tokens: int | None = None) -> Request:
        """The request for one answer."""
        return Request(
            "POST",
            self.address.api.origin,
            self.address.endpoint(form.kind),
            self._headers(
                ("Content-Type", "application/json"),
                ("Accept", "text/event-stream" if form.stream else "application/json"),
                ("X-Request-Id", request_id),
            ),
            msgspec.json.encode(form.build(prompt, max_tokens)),
        )

    async def get(self, path: str) -> tuple[Head, bytes]:
        """The API's answer to a GET. Raises SDKError; StatusError for a status of 400 or more."""
        return await self._fetch(
            Request("GET", self.address.api.origin, self.address.api.target(path), self._headers())
        )

    async def post(self, target: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a POST; `target` is the whole path. Raises SDKError as `get` does."""
        headers = self._headers(("Content-Type", "application/json"))
        request = Request("POST", self.address.api.origin, target, headers, msgspec.json.encode(body))
        _, answer = await self._fetch(request)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise ProtocolError(f"{request.url} answered with something that is not JSON") from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    async def text(self, path: str) -> str:
        """The server's answer to a GET outside the API, such as `/metrics`. Raises SDKError as `get` does."""
        _, body = await self._fetch(Request("GET", self.address.api.origin, self.address.root + path, self._headers()))
        return body.decode("utf-8", "replace")

    def _headers(self, *own: Header) -> tuple[Header, ...]:
        """The bench's headers, and the user's, which replace them."""
        kept = [header for header in own if header[0].lower() not in self._taken] if self._taken else own
        return (*kept, *self._given)

    async def _fetch(self, request: Request) -> tuple[Head, bytes]:
        try:
            exchange = await self._transport.send(request, Deadline(self._question_timeouts))
            body = await _read_body(exchange)
            if exchange.head.status >= 400:
                raise status_error(exchange.head, body)
        except SDKError as error:
            error.message = self.redact(error.message)
            raise
        return exchange.head, body


async def _read_body(exchange: AsyncExchange) -> bytes:
    """The whole body of an answer that is not a stream. Raises SDKError."""
    blocks: list[bytes] = []
    size = 0
    try:
        while (block := await exchange.read()) is not None:
            blocks.append(block.data)
            size += len(block.data)
            if exchange.head.status >= 400 and size > MOST_ERROR_BYTES:
                break
            if size > MOST_QUESTION_BYTES:
                raise ProtocolError(f"the answer is over {MOST_QUESTION_BYTES:,} bytes")
    finally:
        exchange.close()
    return b"".join(blocks)


def status_failure(head: Head, body: bytes) -> StatusError:
    """The error of an answer whose status is 400 or more."""
    return status_error(head, body)


def error_message(payload: Any) -> str | None:
    """The message and code of an error object; None if `payload` is not one."""
    facts = error_facts(payload)
    if facts is None:
        return None
    said, code = facts["server_message"] or "no reason given", facts["code"]
    return said if code is None or str(code) in said else f"{said} ({code})"


def event_error_message(payload: Any) -> str:
    """The message of an error event."""
    said = error_message(payload)
    if said is None:
        return f"the server sent an event that is not a completion chunk: {payload!r:.120}"
    return f"error in the stream: {said}"


def refusal(error: SDKError) -> tuple[Outcome, str]:
    """The class of a request that `error` ended, and its message."""
    if isinstance(error, StatusError):
        return status_outcome(error.status), error.message
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in _OWN_LIMITS:
        return Outcome.CLIENT_LIMIT, error.message
    for kind, outcome in _CLASSES:
        if isinstance(error, kind):
            return outcome, error.message
    raise error


# Errors when the machine has no more open files, local ports or buffers.
_OWN_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})

# A connection that breaks during an answer, or before its first byte, truncates it.
_CLASSES: tuple[tuple[type[SDKError], Outcome], ...] = (
    (ConnectTimeoutError, Outcome.TIMEOUT_CONNECT),
    (PoolTimeoutError, Outcome.TIMEOUT_CONNECT),
    (FirstByteTimeoutError, Outcome.TIMEOUT_FIRST_BYTE),
    (StallTimeoutError, Outcome.TIMEOUT_STALL),
    (RequestTimeoutError, Outcome.TIMEOUT_TOTAL),
    (TLSError, Outcome.TLS),
    (ConnectError, Outcome.CONNECT),
    (ConnectionLostError, Outcome.TRUNCATED),
    (ProtocolError, Outcome.PROTOCOL),
)
