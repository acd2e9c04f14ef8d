"""The transport over an httpx-style client: for proxies, HTTP/2, client certificates, ASGI and mock transports.

Takes clients of `httpx2` and of the older `httpx` alike: both have the same calls and the same names of errors.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Iterator
from time import monotonic_ns
from typing import Any
from weakref import finalize

from sdk.deadline import Deadline, Phase
from sdk.errors import (
    ConfigError,
    ConnectError,
    ConnectionLostError,
    PoolTimeoutError,
    ProtocolError,
    RequestTimeoutError,
    SDKError,
    TotalTimeoutError,
    TransportError,
)
from sdk.event_loop import later
from sdk.transport.base import Block, Head, Origin, Request
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
_TIMEOUT_PHASES: dict[str, Phase] = {"ConnectTimeout": "connect", "PoolTimeout": "pool"}


def _translate(error: Exception, request: Request, deadline: Deadline, sent_ns: int) -> Exception:
    """Our error for one of the client's, of a request sent then; the same error when it is none of the client's."""
    names = [kind.__name__ for kind in type(error).__mro__]
    if "TimeoutException" in names:
        phase = next((_TIMEOUT_PHASES[name] for name in names if name in _TIMEOUT_PHASES), None)
        if phase is not None:
            deadline.enter(phase, sent_ns)
        return deadline.error() or deadline.nearest_error()
    kind = next((_ERRORS[name] for name in names if name in _ERRORS), None)
    if kind is None:
        return error
    if "RemoteProtocolError" in names and any(words in str(error) for words in ("isconnected", "peer closed")):
        return ConnectionLostError(str(error))
    if "ProxyError" in names:
        return ConnectError(
            f"the proxy {_proxy_of(request.origin) or ''} refuses to connect to {request.origin}: {error}"
        )
    if kind is ConnectError and (cause := _os_error(error)) is not None:
        failed = connect_error(request.origin, cause)
        if proxy := _proxy_of(request.origin):
            failed.message += f"; asked through the proxy of the environment, {proxy}"
        return failed
    return kind(str(error) or type(error).__name__)


def _proxy_of(origin: Origin) -> str | None:
    from urllib.request import getproxies, proxy_bypass  # slow to import, and rarely needed

    proxies = getproxies()
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    if proxy is None or proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    scheme, _, rest = proxy.rpartition("://")
    return f"{scheme or 'http'}://{rest.rpartition('@')[2]}"  # without its password


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


def _async_blocks(response: Any) -> AsyncGenerator[bytes, None]:
    """The same. No generator around the client's own: a loop that ends closes all of them at once."""
    blocks: AsyncGenerator[bytes, None] = _once(response) if response.is_stream_consumed else response.aiter_raw()
    return blocks


async def _once(response: Any) -> AsyncGenerator[bytes, None]:
    yield response.content


class _Limits:
    """Looks at the limits after each block: the client's own know no total, and start anew with every comment."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._is_late = False

    def passed(self, now_ns: int) -> RequestTimeoutError | None:
        """The error to raise. One block past a limit is let through: its reader may have been busy for that long."""
        error = self._deadline.error(now_ns)
        if error is not None and (self._is_late or isinstance(error, TotalTimeoutError)):
            return error
        self._is_late = error is not None
        return None


class HttpxExchange:
    """An `Exchange` over a client's streamed response; `owner` would close the client if nobody held it."""

    def __init__(self, response: Any, request: Request, deadline: Deadline, sent_ns: int, owner: object) -> None:
        self._owner = owner
        self.head = _head(response)
        self.sent_ns = sent_ns
        self.head_ns = monotonic_ns()
        self.opened_connection = False
        self._response = response
        self._request = request
        self._limits = _Limits(deadline)
        self._deadline = deadline
        self._blocks: Iterator[bytes] = _blocks(response)

    def read(self) -> Block | None:
        try:
            data = next(self._blocks, None)
        except Exception as error:
            raise _translate(error, self._request, self._deadline, self.sent_ns) from error
        if data is None:
            return None
        now_ns = monotonic_ns()
        if (expired := self._limits.passed(now_ns)) is not None:
            self.close()
            raise expired
        return Block(data, now_ns)

    def finish(self) -> None:
        """Read on to the end, which follows at once, so that the client keeps the connection."""
        try:
            for _ in self._blocks:
                pass
        except Exception as error:  # the answer is complete: what happens behind it is nobody's loss
            if _translate(error, self._request, self._deadline, self.sent_ns) is error:
                raise
        self.close()

    def close(self) -> None:
        self._response.close()


class HttpxTransport:
    """A blocking `Transport` over an `httpx2.Client` or `httpx.Client`; one of its own unless given."""

    def __init__(self, client: Any = None, *, max_connections: int = 4096) -> None:
        self._owns = client is None
        self._max_connections = max_connections
        self._client = client
        if self._owns:
            self._renew()

    def _renew(self) -> None:
        self._client, self._pid = _new_client("Client", self._max_connections), os.getpid()
        finalize(self, self._client.close)  # also for who forgets to close, and at exit

    def send(self, request: Request, deadline: Deadline) -> HttpxExchange:
        if self._owns and (self._client.is_closed or self._pid != os.getpid()):  # a fork's connections are the parent's
            self._renew()
        deadline.enter("first_byte")
        sent_ns = monotonic_ns()
        try:
            response = self._client.send(_build(self._client, request, deadline), stream=True)
        except Exception as error:
            raise _translate(error, request, deadline, sent_ns) from error
        _await_tokens(response, deadline)
        return HttpxExchange(response, request, deadline, sent_ns, self)

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
        self._limits = _Limits(deadline)
        self._deadline = deadline
        self._blocks: AsyncGenerator[bytes, None] = _async_blocks(response)
        self._later = later()
        self._is_closing = False

    async def read(self) -> Block | None:
        try:
            data = await anext(self._blocks, None)
        except Exception as error:
            raise _translate(error, self._request, self._deadline, self.sent_ns) from error
        except BaseException:  # cancelled
            self.close()
            raise
        if data is None:
            return None
        now_ns = monotonic_ns()
        if (expired := self._limits.passed(now_ns)) is not None:
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
            if _translate(error, self._request, self._deadline, self.sent_ns) is error:
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
            raise _translate(error, request, deadline, sent_ns) from error
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
    try:
        return getattr(httpx2, kind)(limits=limits, follow_redirects=False)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        set_there = [name for name in os.environ if name.lower() in _PROXY_VARIABLES]
        raise ConfigError(
            f"{', '.join(set_there) or 'proxy'}: the environment's proxy cannot be used: {error}"
        ) from error


_PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
