"""The seam between the driver and the sockets: a wire carries one request and hands the answer over as it arrives."""

from __future__ import annotations

from typing import Protocol

from bench.answer.chunk_shape import ChunkShape
from bench.records.health import WireHealth
from bench.records.lags import LagCounter
from bench.target import Deadline, Head, Request
from bench.units import NS_PER_S
from bench.wire.timing import Timing


class Receiver(Protocol):
    """What an answer is handed to, block by block, the moment it is read. Stamps are `time.monotonic_ns()`.

    The wire itself fills in `timing` what it knows of the connection.
    """

    timing: Timing

    def sent(self, now_ns: int, took_ns: int) -> None:
        """The last byte of the request was handed to the kernel, which happened within `took_ns` before `now_ns`.

        Called again when the request had to go out on another connection: the last call counts.
        """
        ...

    def begin(self, head: Head, arrived_ns: int) -> None:
        """The header block is complete."""
        ...

    def take(self, block: bytes, arrived_ns: int, source: Source) -> bool:
        """Body bytes of one read, whose last byte arrived at `arrived_ns`; true when the answer needs no more."""
        ...


class PieceReceiver(Receiver, Protocol):
    """A receiver that can also do with the bytes of whole HTTP chunks, which saves parsing most of them."""

    def learn_shape(self, data: bytes) -> ChunkShape | None:
        """The read that `take` had last was these whole chunks; what can take the next of that kind by its look."""
        ...

    def took_plain(self, arrived_ns: int, doubt_ns: int) -> None:
        """Several chunks of one read were taken that way, the earlier ones with a doubt."""
        ...

    def catch_up(self) -> None:
        """Tell the time limits of what was taken that way."""
        ...


class Source(Protocol):
    """Where a read came from, for who wants to know how sure its stamp is.

    With `is_sure` what ended with the last byte arrived when it says. Anything else in the read may have arrived
    earlier, by up to `doubt_ns()`; asking costs a system call.
    """

    is_sure: bool

    def doubt_ns(self) -> int: ...


# A server that closes an idle connection does so within a round trip of the next request; what breaks later was lost
# while the server worked on it.
REOPEN_WITHIN_NS = NS_PER_S

# Most servers write the end of the body after [DONE], in a packet of its own. The next request waits that long for it,
# so that it can have the same connection, and the connection that much longer before it is given up.
PATIENCE_S = 0.01
GRACE_S = 1.0


def may_reopen(*, reused: bool, has_bytes: bool, sent_ns: int, now_ns: int) -> bool:
    """Whether a connection that was lost had been dead already when the request was sent on it."""
    return reused and not has_bytes and now_ns - sent_ns <= REOPEN_WITHIN_NS


class Wire(Protocol):
    """Carries requests to one server. Belongs to one event loop.

    No request is retried. The one exception is not a retry: when a kept connection turns out to be dead before the
    first byte of an answer, the request goes out on a new connection, once, and the receiver is told.
    """

    watch: WireWatch

    async def turn(self) -> None:
        """Wait until reading has come before the start of another request, where that matters."""
        ...

    async def carry(self, request: Request, deadline: Deadline, receiver: PieceReceiver) -> None:
        """Send, and return when the answer has ended, or said that it needs no more.

        Raises SDKError for what broke it. Cancelling it closes the connection.
        """
        ...

    def refresh(self) -> None:
        """To be called a hundred times a second: looks after clocks."""
        ...

    def health(self) -> WireHealth:
        """What it saw of itself since `watch.begin()`."""
        ...

    async def aclose(self) -> None:
        """Drop every connection."""
        ...


class WireWatch:
    """What a wire saw of itself; `lag` counts reads by how long their bytes had waited."""

    __slots__ = ("clock_steps_ns", "lag", "retransmits", "unstamped")

    def __init__(self) -> None:
        self.lag = LagCounter()
        self.begin()

    def begin(self) -> None:
        """Count from here on."""
        self.lag.clear()
        self.unstamped = 0
        self.retransmits = 0
        self.clock_steps_ns: list[int] = []
