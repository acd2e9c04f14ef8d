"""The interface between the driver and the sockets: a wire carries a request and passes on the answer as it arrives."""

from __future__ import annotations

from typing import Protocol

from bench.answer.chunk_shape import ChunkShape
from bench.records.health import WireHealth
from bench.records.lags import LagCounter
from bench.target import Deadline, Head, Request
from bench.units import NS_PER_S
from bench.wire.timing import Timing


class Receiver(Protocol):
    """Receives an answer block by block, as soon as each is read. Stamps are `time.monotonic_ns()`.

    The wire writes into `timing` what it knows about the connection.
    """

    timing: Timing

    def sent(self, now_ns: int, took_ns: int) -> None:
        """The last byte of the request was handed to the kernel, within the `took_ns` before `now_ns`.

        Called again when the request had to be sent on another connection; the last call counts.
        """
        ...

    def begin(self, head: Head, arrived_ns: int) -> None:
        """The header block is complete."""
        ...

    def take(self, block: bytes, arrived_ns: int, source: Source) -> bool:
        """Body bytes of one read, whose last byte arrived at `arrived_ns`. Returns true when the answer is complete."""
        ...


class PieceReceiver(Receiver, Protocol):
    """A receiver that also understands whole HTTP chunks by their shape, so that most need no parsing."""

    def learn_shape(self, data: bytes) -> ChunkShape | None:
        """The last read that `take` got was these whole chunks. Returns their shape, to take the next ones by."""
        ...

    def took_plain(self, arrived_ns: int, doubt_ns: int) -> None:
        """Several chunks of one read were taken by their shape, the earlier ones with a doubt."""
        ...

    def catch_up(self) -> None:
        """Account for the chunks that were taken by their shape, so that the time limits know of them."""
        ...


class Source(Protocol):
    """The source of a read, which knows how far its stamp can be trusted.

    If `is_sure`, whatever ended with the last byte arrived at the stamp. Anything else in the read may have arrived
    up to `doubt_ns()` earlier; that call costs a system call.
    """

    is_sure: bool

    def doubt_ns(self) -> int: ...


# A server that closes an idle connection does so within a round trip of the next request. A connection that breaks
# later broke while the server worked on the request.
REOPEN_WITHIN_NS = NS_PER_S

# Most servers write the end of the body after [DONE], in a separate packet. The next request waits PATIENCE_S for it,
# so that it can use the same connection; the connection itself waits GRACE_S before it is closed.
PATIENCE_S = 0.01
GRACE_S = 1.0


def may_reopen(*, reused: bool, has_bytes: bool, sent_ns: int, now_ns: int) -> bool:
    """Whether a connection that broke was already dead when the request was sent on it."""
    return reused and not has_bytes and now_ns - sent_ns <= REOPEN_WITHIN_NS


class Wire(Protocol):
    """Carries requests to one server. Belongs to one event loop.

    No request is retried. One case is not a retry: if a kept connection turns out to be dead before the first byte of
    an answer, the request is sent once more on a new connection, and the receiver's timing notes it.
    """

    watch: WireWatch

    async def turn(self) -> None:
        """Wait until all that has arrived is read, where that has to precede the start of another request."""
        ...

    async def carry(self, request: Request, deadline: Deadline, receiver: PieceReceiver) -> None:
        """Send, and return when the answer has ended or the receiver needs no more of it.

        Raises SDKError for whatever broke it. Cancelling it closes the connection.
        """
        ...

    def refresh(self) -> None:
        """Follow the clocks. To be called a hundred times a second."""
        ...

    def health(self) -> WireHealth:
        """What the wire observed about itself since `watch.begin()`."""
        ...

    async def aclose(self) -> None:
        """Drop every connection."""
        ...


class WireWatch:
    """What a wire observed about itself; `lag` counts reads by how long their bytes had waited."""

    __slots__ = ("clock_steps_ns", "lag", "retransmits", "unstamped")

    def __init__(self) -> None:
        self.lag = LagCounter()
        self.begin()

    def begin(self) -> None:
        """Start to count."""
        self.lag.clear()
        self.unstamped = 0
        self.retransmits = 0
        self.clock_steps_ns: list[int] = []
