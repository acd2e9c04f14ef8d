"""The transport over an httpx-style client: for proxies, HTTP/2, client certificates, ASGI and mock transports.

Takes clients of `httpx2` and of the older `httpx` alike: both have the same calls and the same names of errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from time import monotonic_ns
from typing import Any
from weakref import finalize

from sdk.deadline import Deadline
from sdk.errors import (
    ConfigError,
    ConnectError,
    ConnectionLostError,
    PoolTimeoutError,
    ProtocolError,
    SDKError,
    TransportError,
)
from sdk.event_loop import later
from sdk.transport.base import Block, Head, Request
from sdk.transport.reason import connect_error

# By name: httpx2's classes and httpx's are not related.
_ERRORS: dict[str, type[SDKError]] = {
    "PoolTimeout": PoolTimeoutError,
    "ConnectError": ConnectError,
    "ProxyError": ConnectError,
    "RemoteProtocolError": ProtocolError,
    "ReadError": ConnectionLostError,
    "WriteError": ConnectionLostError,
    "CloseError": ConnectionLostError,
    "LocalProtocolError": ProtocolError,
    "DecodingError": ProtocolError,
    "UnsupportedProtocol": ConfigError,
    "TransportError": TransportError,
}
_TIMEOUT_PHASES = {"ConnectTimeout": "connect", "PoolTimeout": "pool"}


def _translate(error: Exception, request: Request, deadline: Deadline) -> Exception:
    """Our error for one of the client's; the same error when it is none of the client's."""
    names = [kind.__name__ for kind in type(error).__mro__]
    if "TimeoutException" in names:
        phase = next((_TIMEOUT_PHASES[name] for name in names if name in _TIMEOUT_PHASES), None)
        if phase is not None:
            deadline.enter(phase, deadline.started_ns)
        return deadline.error() or deadline.nearest_error()
    kind = next((_ERRORS[name] for name in names if name in _ERRORS), None)
    if kind is None:
        return error
    if "RemoteProtocolError" in names and any(words in str(error) for words in ("isconnected", "peer closed")):
        return ConnectionLostError(str(error))
    if kind is ConnectError and (cause := _os_error(error)) is not None:
        return connect_error(request.origin, cause)
    return kind(str(error) or type(error).__name__)


def _os_error(error: BaseException | None) -> OSError | None:
    """The operating system's own error at the bottom of a client's."""
    found: OSError | None = None
    while error is not None:
        if isinstance(error, BaseExceptionGroup):  # trio's, of every address it tried
            error = error.exceptions[0]
        found = error if isinstance(error, OSError) else found
        error = error.__cause__ or error.__context__
    return found


def _limits(deadline: Deadline, read_s: float | None) -> dict[str, float | None]:
    """The client's four timeouts. It knows no total: each wait is cut to what is left of ours."""
    left_s = deadline.total_left_s()

    def within(seconds: float | None) -> float | None:
        return min((s for s in (seconds, left_s) if s is not None), default=None)

    timeouts = deadline.timeouts
    return {"connect": within(timeouts.connect), "pool": within(timeouts.pool), "write": left_s, "read": within(read_s)}


def _build(client: Any, request: Request, deadline: Deadline) -> Any:
    return client.build_request(
        request.method,
        request.url,
        headers=list(request.headers),
        content=request.body or None,
        extensions={"timeout": _limits(deadline, deadline.timeouts.first_byte)},
    )


def _await_tokens(response: Any, deadline: Deadline) -> None:
    """The head is there: from now on reads are limited by the stall limit. The client looks the limits up again."""
    deadline.enter("stall")
    response.request.extensions["timeout"].update(_limits(deadline, deadline.timeouts.stall))


def _head(response: Any) -> Head:
    return Head(response.status_code, {name.lower(): value for name, value in response.headers.items()})


def _blocks(response: Any) -> Iterator[bytes]:
    """The body as it arrives; a mock transport's response has it already."""
    blocks: Iterator[bytes] = iter((response.content,)) if response.is_stream_consumed else response.iter_raw()
    return blocks


async def _async_blocks(response: Any) -> AsyncGenerator[bytes, None]:
    if response.is_stream_consumed:
        yield response.content
        return
    async with aclosing(response.aiter_raw()) as blocks:
        async for block in blocks:
            yield block


class HttpxExchange:
    """An `Exchange` over a client's streamed response."""

    def __init__(self, response: Any, request: Request, deadline: Deadline, sent_ns: int) -> None:
        self.head = _head(response)
        self.sent_ns = sent_ns
        self.head_ns = monotonic_ns()
        self.opened_connection = False
        self._response = response
        self._request = request
        self._deadline = deadline
        self._blocks: Iterator[bytes] = _blocks(response)

    def read(self) -> Block | None:
        try:
            data = next(self._blocks, None)
        except Exception as error:
            raise _translate(error, self._request, self._deadline) from error
        if data is None:
            return None
        now_ns = monotonic_ns()
        if (expired := self._deadline.error(now_ns)) is not None:
            self.close()
            raise expired
        return Block(data, now_ns)

    def finish(self) -> None:
        """Read on to the end, which follows at once, so that the client keeps the connection."""
        try:
            for _ in self._blocks:
                pass
        except Exception as error:  # the answer is complete: what happens behind it is nobody's loss
            if _translate(error, self._request, self._deadline) is error:
                raise
        self.close()

    def close(self) -> None:
        self._response.close()


class HttpxTransport:
    """A blocking `Transport` over an `httpx2.Client` or `httpx.Client`; one of its own unless given."""

    def __init__(self, client: Any = None, *, max_connections: int = 4096) -> None:
        self._owns = client is None
        self._client = _new_client("Client", max_connections) if client is None else client
        if self._owns:  # also for who forgets to close, and at exit
            finalize(self, self._client.close)

    def send(self, request: Request, deadline: Deadline) -> HttpxExchange:
        deadline.enter("first_byte")
        sent_ns = monotonic_ns()
        try:
            response = self._client.send(_build(self._client, request, deadline), stream=True)
        except Exception as error:
            raise _translate(error, request, deadline) from error
        _await_tokens(response, deadline)
        return HttpxExchange(response, request, deadline, sent_ns)

    def close(self) -> None:
        if self._owns:
            self._client.close()


class AsyncHttpxExchange:
    """An `AsyncExchange` over a client's streamed response."""

    def __init__(self, response: Any, request: Request, deadline: Deadline, sent_ns: int) -> None:
        self.head = _head(response)
        self.sent_ns = sent_ns
        self.head_ns = monotonic_ns()
        self.opened_connection = False
        self._response = response
        self._request = request
        self._deadline = deadline
        self._blocks: AsyncGenerator[bytes, None] = _async_blocks(response)
        self._later = later()
        self._is_closing = False

    async def read(self) -> Block | None:
        try:
            data = await anext(self._blocks, None)
        except Exception as error:
            raise _translate(error, self._request, self._deadline) from error
        except BaseException:  # cancelled
            self.close()
            raise
        if data is None:
            return None
        now_ns = monotonic_ns()
        if (expired := self._deadline.error(now_ns)) is not None:
            await self.aclose()
            raise expired
        return Block(data, now_ns)

    arrives = read

    async def finish(self) -> None:
        """Read on to the end, which follows at once, so that the client keeps the connection."""
        try:
            async for _ in self._blocks:
                pass
        except Exception as error:  # the answer is complete: what happens behind it is nobody's loss
            if _translate(error, self._request, self._deadline) is error:
                raise
        await self.aclose()

    async def aclose(self) -> None:
        self._is_closing = True
        with contextlib.suppress(RuntimeError):  # another task reads right now: closing the response ends that
            await self._blocks.aclose()
        await self._response.aclose()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._later(self.aclose)

    def abandon(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and its sockets with it
            self.close()


class AsyncHttpxTransport:
    """An `AsyncTransport` over an `httpx2.AsyncClient` or `httpx.AsyncClient`; one of its own unless given."""

    def __init__(self, client: Any = None, *, max_connections: int = 4096) -> None:
        self._owns = client is None
        self._client = _new_client("AsyncClient", max_connections) if client is None else client

    async def send(self, request: Request, deadline: Deadline) -> AsyncHttpxExchange:
        deadline.enter("first_byte")
        sent_ns = monotonic_ns()
        try:
            response = await self._client.send(_build(self._client, request, deadline), stream=True)
        except Exception as error:
            raise _translate(error, request, deadline) from error
        _await_tokens(response, deadline)
        return AsyncHttpxExchange(response, request, deadline, sent_ns)

    async def aclose(self) -> None:
        if self._owns:
            await self._client.aclose()


def _new_client(kind: str, max_connections: int) -> Any:
    import httpx2  # a third of a second on a cold disk: only who needs it pays

    limits = httpx2.Limits(
        max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=4.0
    )
    return getattr(httpx2, kind)(limits=limits, follow_redirects=False)
