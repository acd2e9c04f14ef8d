"""The interface between calls and the transports that carry them.

A transport sends one request and returns an exchange: the head of the response, then blocks of its body, each with the
time of its arrival. The layers above work the same over every transport.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from sdk import __version__
from sdk.deadline import Deadline

USER_AGENT = f"streamgauge/{__version__}"
# How long the end of a response may follow its last event; after that, its connection is closed.
FINISH_S = 0.25


class Origin(NamedTuple):
    """The peer of a connection: `scheme` is http or https, `host` has no brackets, `port` is always set."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port` as in the Host header: with brackets around IPv6, without the default port of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: `target` is the path with its query, `headers` are names and values as sent.

    Its repr shows neither headers nor body, because they hold the key and the prompt.
    """

    method: str
    origin: Origin
    target: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def url(self) -> str:
        return f"{self.origin}{self.target}"


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a response. Header names are in lower case; repeated headers are joined by a comma."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty if the server sent none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        """Whether a stream of events may follow: some servers do not name its type, so only other types exclude it."""
        return self.status < 300 and self.media_type not in ("application/json", "text/html")


class Block(msgspec.Struct, frozen=True, gc=False):
    """The body bytes of one read; `arrived_ns` is `time.monotonic_ns()` right after the read, before any parsing."""

    data: bytes
    arrived_ns: int


class Exchange(Protocol):
    """One request of a blocking transport; `AsyncExchange` explains the attributes and methods."""

    head: Head
    sent_ns: int
    head_ns: int
    opened_connection: bool

    def read(self) -> Block | None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


class AsyncExchange(Protocol):
    """One request whose head has arrived.

    `sent_ns` is the time when the last byte of the request was handed to the kernel, `head_ns` when the header block
    was complete (both `time.monotonic_ns()`). `opened_connection` is whether a connection was made for the request.
    """

    head: Head
    sent_ns: int
    head_ns: int
    opened_connection: bool

    async def read(self) -> Block | None:
        """The next block of the body, or None after its end.

        Raises ConnectionLostError, ProtocolError, or the RequestTimeoutError of the limit that passed. Cancelling a
        read closes the exchange.
        """
        ...

    def arrives(self) -> Awaitable[Block | None]:
        """As `read` at less cost, for a reader that closes the exchange itself when it is cancelled."""
        ...

    async def finish(self) -> None:
        """Drop the rest of the response, and keep the connection if the response ends immediately."""
        ...

    async def aclose(self) -> None:
        """End the exchange now; closes the connection unless the response has ended. Safe to repeat."""
        ...

    def close(self) -> None:
        """As `aclose`, without waiting."""
        ...

    def abandon(self) -> None:
        """As `close`, from any thread and even after the loop has ended: for a reader that was garbage-collected."""
        ...


class Transport(Protocol):
    """Sends requests and waits for the answer.

    A transport that enforces every limit of the deadline itself sets the attribute `keeps_limits = True`. For all
    others, the clients enforce the limits from outside.
    """

    def send(self, request: Request, deadline: Deadline) -> Exchange: ...
    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """Sends requests without blocking its event loop."""

    async def send(self, request: Request, deadline: Deadline) -> AsyncExchange:
        """Send a request and wait for the head, whatever its status.

        Raises ConnectError, ConnectionLostError, ProtocolError, or the RequestTimeoutError of the limit that passed.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection; returns when their sockets are closed."""
        ...
