"""Transports without a network, for tests: a function answers each request, and the requests are kept.

transport = FakeTransport(lambda request: FakeAnswer(200, [b'{"data": []}']))
client = InferenceClient(transport=transport)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic_ns

from sdk.deadline import Deadline
from sdk.transport.base import Block, Head, Request

Item = bytes | Exception


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """A status, the blocks of the body in order, and headers. An exception among the blocks is raised."""

    status: int = 200
    blocks: Iterable[Item] = ()
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @classmethod
    def events(cls, *data: str) -> FakeAnswer:
        """A stream of events, one in each block; end it with `[DONE]`, or it breaks off."""
        return cls(200, [f"data: {text}\n\n".encode() for text in data], {"content-type": "text/event-stream"})


Answerer = Callable[[Request], FakeAnswer | Exception]


class FakeTransport:
    """A blocking `Transport` that calls `answer` instead of a server. `requests` has the sent requests in order."""

    def __init__(self, answer: Answerer) -> None:
        self._answer = answer
        self.requests: list[Request] = []
        self.open_exchanges = 0

    def send(self, request: Request, deadline: Deadline) -> FakeExchange:
        return self._open(request, deadline)

    def close(self) -> None:
        """Does nothing: there are no connections."""

    def _open(self, request: Request, deadline: Deadline) -> FakeExchange:
        self.requests.append(request)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        deadline.enter("stall")
        return FakeExchange(self, answer)


class AsyncFakeTransport(FakeTransport):
    """`FakeTransport` as an `AsyncTransport`."""

    async def send(self, request: Request, deadline: Deadline) -> AsyncFakeExchange:  # type: ignore[override]
        return AsyncFakeExchange(self._open(request, deadline))

    async def aclose(self) -> None:
        """Does nothing: there are no connections."""


class FakeExchange:
    """An `Exchange` that plays an answer; its transport counts it as open until it ends."""

    opened_connection = True

    def __init__(self, transport: FakeTransport, answer: FakeAnswer) -> None:
        self.head: Head = Head(answer.status, {name.lower(): value for name, value in answer.headers.items()})
        self.sent_ns: int = monotonic_ns()
        self.head_ns: int = self.sent_ns
        self._blocks: Iterator[Item] = iter(answer.blocks)
        self._transport = transport
        self._is_open = True
        transport.open_exchanges += 1

    def read(self) -> Block | None:
        item = next(self._blocks, None)
        if isinstance(item, Exception):
            self.close()
            raise item
        if item is None:
            self.close()
            return None
        return Block(item, monotonic_ns())

    def finish(self) -> None:
        self.close()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._transport.open_exchanges -= 1


class AsyncFakeExchange:
    """`FakeExchange` as an `AsyncExchange`."""

    opened_connection = True

    def __init__(self, exchange: FakeExchange) -> None:
        self._exchange = exchange
        self.head: Head = exchange.head
        self.sent_ns: int = exchange.sent_ns
        self.head_ns: int = exchange.head_ns

    async def read(self) -> Block | None:
        return self._exchange.read()

    arrives = read

    async def finish(self) -> None:
        self._exchange.close()

    async def aclose(self) -> None:
        self._exchange.close()

    def close(self) -> None:
        self._exchange.close()

    def abandon(self) -> None:
        self._exchange.close()
