"""The seam between what is asked and how it travels.

A transport sends one request and hands back an exchange: the response's head, then blocks of its body, each
stamped when it arrived. Everything above works the same over any of them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from sdk import __version__
from sdk.deadline import Deadline

USER_AGENT = f"streamgauge/{__version__}"
# How long the end of a response may wait behind its last event before its connection is given up.
FINISH_S = 0.25


class Origin(NamedTuple):
    """Where a connection goes: `scheme` is http or https, `host` has no brackets, `port` is always given."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port` as the Host header has it: brackets around IPv6, no port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: `target` is the path with its query, `headers` are name and value as sent.

    Its repr shows neither headers nor body: they hold the key and the prompt.
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
    """Status line and headers of a response; header names in lower case, repeated ones joined by a comma."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case; empty when the server named none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        """Whether a stream of events follows; some servers do not name its type, so only others are ruled out."""
        return self.status < 300 and self.media_type not in ("application/json", "text/html")


class Block(msgspec.Struct, frozen=True, gc=False):
    """Body bytes of one read: `arrived_ns` is `time.monotonic_ns()` taken right after it, before any parsing."""

    data: bytes
    arrived_ns: int


class Exchange(Protocol):
    """One request on its way through a blocking transport; see `AsyncExchange` for the meaning of each part."""

    head: Head
    sent_ns: int
    head_ns: int
    opened_connection: bool

    def read(self) -> Block | None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


class AsyncExchange(Protocol):
    """One request whose head has arrived.

    `sent_ns` is when the last byte of the request was handed to the kernel, `head_ns` when the header block was
    complete (both `time.monotonic_ns()`), `opened_connection` whether a connection was made for it.
    """

    head: Head
    sent_ns: int
    head_ns: int
    opened_connection: bool

    async def read(self) -> Block | None:
        """The next block of the body, or None after its end.

        Raises ConnectionLostError, ProtocolError, or the RequestTimeoutError whose limit passed. Cancelling it closes
        the exchange.
        """
        ...

    def arrives(self) -> Awaitable[Block | None]:
        """The same at less cost, for a reader that closes the exchange itself when it is cancelled."""
        ...

    async def finish(self) -> None:
        """All that matters was read: drop the rest, and keep the connection if the response ends at once."""
        ...

    async def aclose(self) -> None:
        """End the exchange now: a connection not read to its end is closed. Safe to repeat."""
        ...

    def close(self) -> None:
        """The same without waiting for it."""
        ...

    def abandon(self) -> None:
        """The same from any thread, also when the loop has ended: its reader was garbage-collected."""
        ...


class Transport(Protocol):
    """Sends requests and blocks for the answer.

    A transport that enforces every limit of the deadline itself sets the attribute `keeps_limits = True`. The clients
    enforce the limits of all others from outside.
    """

    def send(self, request: Request, deadline: Deadline) -> Exchange: ...
    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """Sends requests without blocking the event loop it belongs to."""

    async def send(self, request: Request, deadline: Deadline) -> AsyncExchange:
        """Send and wait for the head, whatever its status.

        Raises ConnectError, ConnectionLostError, ProtocolError, or the RequestTimeoutError whose limit passed.
        """
        ...

    async def aclose(self) -> None:
        """Drop every connection and return when their sockets are closed."""
        ...
