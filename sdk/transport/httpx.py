"""The transport over an httpx-style client: for proxies, HTTP/2, client certificates, ASGI and mock transports.

Accepts clients of both `httpx2` and the older `httpx`: their methods and the names of their errors are the same. The
limits are enforced from outside, because such a client has none for a whole call, and may have any transport.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Iterator
from time import monotonic_ns
from typing import Any
from weakref import finalize

from sdk.deadline import Deadline, Timeouts
from sdk.errors import ConfigError, ConnectionLostError
from sdk.transport.base import FINISH_S, USER_AGENT, Block, Head, Request
from sdk.transport.bounded import Bounds, briefly
from sdk.transport.bounded_blocking import BoundedThread
from sdk.transport.event_loop import later
from sdk.transport.httpx_errors import raise_ours
from sdk.transport.httpx_trace import Journey, Journeys
from sdk.transport.origin_pool import IDLE_S, MAX_CONNECTIONS
from sdk.transport.proxy import variables_set

# The blocking client's own timeouts only end abandoned threads: our limits pass first.
AFTER_OURS_S = 1.0


def _limits(deadline: Deadline) -> dict[str, float | None]:
    """The four timeouts of a blocking client."""
    left_s, timeouts = deadline.total_left_s(), deadline.timeouts

    def after_ours(limit_s: float | None = None) -> float | None:
        nearest_s = min((s for s in (limit_s, left_s) if s is not None), default=None)
        return None if nearest_s is None else nearest_s + AFTER_OURS_S

    return {
        "connect": after_ours(timeouts.connect),
        "pool": after_ours(timeouts.pool),
        "write": after_ours(),
        "read": after_ours(),
    }


# A client that follows redirects would read the whole body of each, however long.
_AS_IT_COMES = {"stream": True, "follow_redirects": False}
_NO_LIMITS = dict.fromkeys(("connect", "pool", "write", "read"))


def _build(client: Any, request: Request, trace: Any, limits: dict[str, Any]) -> Any:
    return client.build_request(
        request.method,
        request.url,
        headers=_headers(client, request),
        content=request.body or None,
        extensions={"timeout": limits, "trace": trace},
    )


def _headers(client: Any, request: Request) -> list[tuple[str, str]]:
    """The headers of the request; a User-Agent that is set on the client replaces the SDK's own."""
    if client.headers.get("user-agent", "python-httpx").startswith("python-httpx"):
        return list(request.headers)
    return [item for item in request.headers if item != ("User-Agent", USER_AGENT)]


def _head(response: Any) -> Head:
    return Head(response.status_code, {name.lower(): value for name, value in response.headers.items()})


def _blocks(response: Any) -> Iterator[bytes]:
    """The blocks of the body as they arrive; the response of a mock transport has all of it already."""
    blocks: Iterator[bytes] = iter((response.content,)) if response.is_stream_consumed else response.iter_raw()
    return blocks


def _async_blocks(response: Any) -> AsyncGenerator[bytes, None]:
    """The same, asynchronously. No generator wraps the client's: a loop that ends would close both at the same time."""
    blocks: AsyncGenerator[bytes, None] = _once(response) if response.is_stream_consumed else response.aiter_raw()
    return blocks


async def _once(response: Any) -> AsyncGenerator[bytes, None]:
    yield response.content


class HttpxExchange:
    """An `Exchange` over a client's streamed response. It holds `owner`, which closes the client when it is freed.

    The caller's thread reads the body if each read of the socket can be limited; otherwise the exchange's own does.
    """

    _is_open = False

    def __init__(
        self,
        response: Any,
        request: Request,
        deadline: Deadline,
        journey: Journey,
        thread: BoundedThread,
        owner: object,
    ) -> None:
        self._owner = owner
        self.head: Head = _head(response)
        self.sent_ns: int = journey.sent_ns
        self.head_ns: int = monotonic_ns()
        self.opened_connection: bool = journey.has_connected
        self._response = response
        self._request = request
        self._deadline = deadline
        self._journey = journey
        self._blocks: Iterator[bytes] = _blocks(response)
        self._is_open = True
        self._is_reading = False
        self._thread: BoundedThread | None = thread
        if journey.bounds_reads():
            thread.end()
            self._thread = None
        journey.take_answer(response)
        deadline.enter("stall", self.head_ns)

    def read(self) -> Block | None:
        if not self._is_open:
            return None
        self._is_reading = True
        try:
            block = self._next() if self._thread is None else self._thread.run(self._next)
        except BaseException as error:
            self.close()
            raise_ours(error, self._request, self._deadline, has_head=True)
            raise
        self._is_reading = False
        if block is None:
            self.close()
        return block

    def _next(self) -> Block | None:
        data = next(self._blocks, None)
        return None if data is None else Block(data, monotonic_ns())

    def finish(self) -> None:
        """Read to the end if it follows immediately, so that the client keeps the connection."""
        if not self._is_open:
            return
        deadline = Deadline(Timeouts(total=FINISH_S))
        with contextlib.suppress(Exception):  # the answer is complete: an error after it does not matter
            if self._thread is None:
                self._journey.deadline = deadline
                self._read_on()
            else:
                self._thread.deadline = deadline
                self._thread.run(self._read_on)
        self.close()

    def _read_on(self) -> None:
        for _ in self._blocks:
            pass

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        if self._thread is not None and self._thread.is_busy:
            self._thread.end(self._response.close)
            self._journey.shut()
        else:
            if self._thread is not None:
                self._thread.end()
            if self._is_reading:  # another thread reads
                self._journey.shut()
            self._response.close()
        self._journey.end()

    def __del__(self) -> None:
        self.close()


class HttpxTransport:
    """A blocking `Transport` over an `httpx2.Client` or `httpx.Client`; it creates one unless given one.

    Each exchange has a thread, which is abandoned if a limit passes and the client cannot be interrupted. `replay` is
    that of `BlockingTransport`, for connections that this transport's own requests opened.
    """

    keeps_limits = True

    def __init__(self, client: Any = None, *, max_connections: int = MAX_CONNECTIONS, replay: bool = True) -> None:
        self._owns = client is None
        self._max_connections = max_connections
        self._client = client
        self._journeys = Journeys(keeps_alive=self._owns, replay=replay)
        if self._owns:
            self._renew()

    def _renew(self) -> None:
        self._client, self._pid = _new_client("Client", self._max_connections), os.getpid()
        finalize(self, self._client.close)  # closes the client at exit, and if nobody calls close

    def send(self, request: Request, deadline: Deadline) -> HttpxExchange:
        if self._owns and (
            self._client.is_closed or self._pid != os.getpid()
        ):  # after a fork, the connections belong to the parent
            self._renew()
        thread = BoundedThread(deadline)
        try:
            journey = self._journeys.begin(deadline)
            try:
                response = self._ask(request, deadline, journey, thread)
            except ConnectionLostError:
                if not self._journeys.may_replay(journey):
                    raise
                journey = self._journeys.begin(deadline)
                response = self._ask(request, deadline, journey, thread)
        except BaseException:
            thread.end()
            raise
        return HttpxExchange(response, request, deadline, journey, thread, self)

    def close(self) -> None:
        if self._owns:
            self._client.close()

    def _ask(self, request: Request, deadline: Deadline, journey: Journey, thread: BoundedThread) -> Any:
        """The client's response, once its head has arrived."""
        built = _build(self._client, request, journey.note, _limits(deadline))
        responses: list[Any] = []

        def ask() -> None:
            with journey.travelling():
                responses.append(self._client.send(built, **_AS_IT_COMES))

        try:
            thread.run(ask)
        except BaseException as error:
            journey.end()
            if thread.is_busy:
                thread.end(lambda: responses[0].close() if responses else None)
                journey.shut()
            raise_ours(error, request, deadline)
            raise
        return responses[0]


class AsyncHttpxExchange:
    """An `AsyncExchange` over a client's streamed response."""

    def __init__(self, response: Any, request: Request, deadline: Deadline, journey: Journey, bounds: Bounds) -> None:
        self.head: Head = _head(response)
        self.sent_ns: int = journey.sent_ns
        self.head_ns: int = monotonic_ns()
        self.opened_connection: bool = journey.has_connected
        self._response = response
        self._journey = journey
        self._bounds = bounds
        self._request = request
        self._deadline = deadline
        self._blocks: AsyncGenerator[bytes, None] = _async_blocks(response)
        self._later = later()
        self._is_closing = False
        journey.take_answer(response)
        deadline.enter("stall", self.head_ns)

    async def read(self) -> Block | None:
        try:
            block = await self._bounds.run(self._next())
        except BaseException as error:
            self.close()
            raise_ours(error, self._request, self._deadline, has_head=True)
            raise
        if block is None:
            self._end()
        return block

    arrives = read

    async def _next(self) -> Block | None:
        data = await anext(self._blocks, None)
        return None if data is None else Block(data, monotonic_ns())

    async def finish(self) -> None:
        """Read to the end if it follows immediately, so that the client keeps the connection."""
        self._bounds.end()
        with contextlib.suppress(Exception):  # the answer is complete: an error after it does not matter
            await briefly(self._read_on())
        await self.aclose()

    async def _read_on(self) -> None:
        async for _ in self._blocks:
            pass

    async def aclose(self) -> None:
        self._is_closing = True
        self._end()
        with contextlib.suppress(RuntimeError):  # another task is reading: closing the response ends its read
            await briefly(self._blocks.aclose())
        await briefly(self._response.aclose())

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._end()
            self._later(self.aclose)

    def abandon(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and its sockets with it
                self._later(self.aclose)

    def _end(self) -> None:
        self._bounds.end()
        self._journey.end()


class AsyncHttpxTransport:
    """An `AsyncTransport` over an `httpx2.AsyncClient` or `httpx.AsyncClient`; it creates one unless given one.

    `replay` is that of `DirectTransport`, for connections that this transport's own requests opened.
    """

    keeps_limits = True

    def __init__(self, client: Any = None, *, max_connections: int = MAX_CONNECTIONS, replay: bool = True) -> None:
        self._owns = client is None
        self._client = _new_client("AsyncClient", max_connections) if client is None else client
        self._journeys = Journeys(keeps_alive=self._owns, replay=replay)

    async def send(self, request: Request, deadline: Deadline) -> AsyncHttpxExchange:
        bounds = Bounds(deadline)
        try:
            journey = self._journeys.begin(deadline)
            try:
                response = await self._ask(request, deadline, journey, bounds)
            except ConnectionLostError:
                if not self._journeys.may_replay(journey):
                    raise
                journey = self._journeys.begin(deadline)
                response = await self._ask(request, deadline, journey, bounds)
        except BaseException:
            bounds.end()
            raise
        return AsyncHttpxExchange(response, request, deadline, journey, bounds)

    async def aclose(self) -> None:
        if self._owns:
            await self._client.aclose()

    async def _ask(self, request: Request, deadline: Deadline, journey: Journey, bounds: Bounds) -> Any:
        """The client's response, once its head has arrived."""
        built = _build(self._client, request, journey.anote, dict(_NO_LIMITS))
        try:
            with journey.travelling():
                return await bounds.run(self._client.send(built, **_AS_IT_COMES))
        except BaseException as error:
            journey.end()
            if journey.new_stream is not None:
                if isinstance(error, Exception):
                    await briefly(journey.new_stream.aclose())
                else:  # cancelled: nothing can be awaited
                    later()(journey.new_stream.aclose)
            raise_ours(error, request, deadline)
            raise


def _new_client(kind: str, max_connections: int) -> Any:
    from http.cookiejar import CookieJar, DefaultCookiePolicy  # as slow to import as httpx2, which needs it anyway

    import httpx2  # takes a third of a second from a cold disk

    limits = httpx2.Limits(
        max_connections=max_connections, max_keepalive_connections=max_connections, keepalive_expiry=IDLE_S
    )
    try:
        # a jar that stays empty, because the direct transports keep no cookies either
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        return getattr(httpx2, kind)(limits=limits, cookies=no_cookies)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise ConfigError(
            f"the environment's proxy cannot be used: {error}", field=", ".join(variables_set()) or "proxy"
        ) from error
