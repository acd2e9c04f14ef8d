"""An exchange on an asyncio connection: the response is parsed as it arrives, and waits for its reader."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from time import monotonic_ns
from typing import Literal, Protocol

from sdk.deadline import Deadline, Timeouts
from sdk.errors import ConnectionLostError, ProtocolError, RequestTimeoutError, SDKError
from sdk.transport.base import FINISH_S, Block, Head
from sdk.transport.http1 import ResponseParser

# A reader that falls this far behind pauses the socket, and so the server, until it has caught up.
PAUSE_AT_BYTES = 256 * 1024
RESUME_AT_BYTES = 64 * 1024
# Turns of the loop between a limit and its error: after a process was stopped or a loop was busy, the limit is noticed
# before the data that arrived in time is read. A turn reads 64 KiB or more of it.
LAST_TURNS = 16


Stage = Literal["head", "body", "rest", "complete", "unanswered", "broken"]
"""How far a response has come.

head: its header block is awaited. body: its body arrives for the reader. rest: the reader has left, and what still
arrives is dropped. complete: it arrived to its end. unanswered and broken: it failed, before and after its head.
"""
# The stage that follows each event. What is missing here cannot happen: a KeyError is a defect of this module.
_AT_HEAD: dict[Stage, Stage] = {"head": "body"}
_AT_END: dict[Stage, Stage] = {"body": "complete", "rest": "complete"}
_AT_FAILURE: dict[Stage, Stage] = {"head": "unanswered", "body": "broken", "rest": "broken"}
_AT_LEAVING: dict[Stage, Stage] = {
    "body": "rest",
    "rest": "rest",
    "complete": "complete",
    "unanswered": "unanswered",
    "broken": "broken",
}


class Carrier(Protocol):
    """What an exchange needs of its connection."""

    loop: asyncio.AbstractEventLoop
    parser: ResponseParser
    exchange: DirectExchange | None

    @property
    def is_sending(self) -> bool: ...
    def watch(self, expires_ns: float) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def finish(self) -> None: ...
    def abort(self) -> None: ...


class DirectExchange:
    """An `AsyncExchange`: the response is parsed as it arrives, and waits here for its one reader.

    `stage` is how far the response has come. It holds its connection in the first three stages and no longer. Apart
    from that, its reader may lag behind: blocks are queued, and above a limit the socket is paused.
    """

    __slots__ = (
        "_blocks",
        "_buffered_bytes",
        "_connection",
        "_error",
        "_is_looking",
        "_is_paused",
        "_is_unread",
        "_loop",
        "_parser",
        "_waiter",
        "deadline",
        "head",
        "head_ns",
        "opened_connection",
        "sent_ns",
        "stage",
    )

    head: Head

    def __init__(self, connection: Carrier, deadline: Deadline, *, opened: bool) -> None:
        self.deadline: Deadline = deadline
        deadline.watcher = self._watch  # until the exchange ends
        self.opened_connection: bool = opened
        self.sent_ns: int = 0
        self.head_ns: int = 0
        self.stage: Stage = "head"
        self._error: SDKError | None = None  # of the stages "unanswered" and "broken"
        self._connection: Carrier | None = connection  # None in the last three stages
        self._parser = connection.parser
        self._blocks: deque[Block] | tuple[()] = ()  # no deque until one is needed: a reader that keeps up has none
        self._buffered_bytes = 0
        self._is_paused = False
        self._is_unread = False  # a block was handed to a reader that has not come back
        self._is_looking = False  # a limit has passed, and the loop may still read what arrived before
        self._loop = connection.loop
        self._waiter: asyncio.Future[Block | None] | None = None

    def mark_sent(self) -> None:
        self.sent_ns = monotonic_ns()
        self.deadline.enter("first_byte", self.sent_ns)

    @property
    def has_bytes(self) -> bool:
        """Whether anything of an answer has arrived."""
        return self._parser.has_bytes

    async def head_arrived(self) -> None:
        """Wait for the header block. Raises as `AsyncTransport.send`."""
        if self.stage == "head":
            try:
                await self._wait()
            except asyncio.CancelledError:
                self.close()
                raise
        if self._error is not None and self.stage == "unanswered":
            raise self._error

    async def read(self) -> Block | None:
        try:
            return await self.arrives()
        except asyncio.CancelledError:
            self.close()
            raise

    def arrives(self) -> asyncio.Future[Block | None]:
        self._is_unread = False
        return self._arrived() if self._blocks or self._connection is None else self._wait()

    def _arrived(self) -> asyncio.Future[Block | None]:
        waiter: asyncio.Future[Block | None] = self._loop.create_future()
        if self._blocks:
            block = self._blocks.popleft()
            self._buffered_bytes -= len(block.data)
            if self._is_paused:
                self._resume()
            waiter.set_result(block)
        elif self._error is not None:
            waiter.set_exception(self._error)
        else:
            waiter.set_result(None)
        return waiter

    async def finish(self) -> None:
        self.stage = _AT_LEAVING[self.stage]
        self._blocks = ()
        self._buffered_bytes = 0
        if self._connection is not None:
            if self._is_paused:
                self._connection.resume_reading()
            self.deadline.watcher = None
            self.deadline = Deadline(Timeouts(total=FINISH_S))
            self._watch()

    async def aclose(self) -> None:
        self.close()

    def close(self, why: str = "the exchange was closed by its reader") -> None:
        if self._connection is not None:
            self._fail(ConnectionLostError(why))

    def abandon(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its sockets with it
            self._loop.call_soon_threadsafe(self.close)

    # the connection calls these

    def feed(self, data: bytes, now_ns: int) -> None:
        parser = self._parser
        try:
            body = parser.feed(data)
        except ProtocolError as error:
            self._fail(error)
            return
        if self.stage == "head" and parser.head is not None:
            self._take_head(parser.head, now_ns)
        if body and self.stage == "body":
            waiter = self._waiter
            if waiter is not None and not waiter.done():  # the reader waits: no need to queue
                self._waiter = None
                self._is_unread = True
                waiter.set_result(Block(body, now_ns))
            else:
                self._keep(Block(body, now_ns))
        if parser.complete:
            self._release()
            self._wake()
        elif parser.error is not None:
            self._fail(parser.error)

    def feed_eof(self, cause: Exception | None) -> None:
        try:
            self._parser.feed_eof()
        except (ConnectionLostError, ProtocolError) as error:
            error.__cause__ = error.__cause__ or cause
            self._fail(error)
        else:
            self._release()
            self._wake()

    def _take_head(self, head: Head, now_ns: int) -> None:
        self.head, self.head_ns = head, now_ns
        self.stage = _AT_HEAD[self.stage]
        self.deadline.enter("stall", now_ns)
        self._wake()

    # back-pressure

    def _keep(self, block: Block) -> None:
        if not self._blocks:
            self._blocks = deque()
        self._blocks.append(block)
        self._buffered_bytes += len(block.data)
        if self._buffered_bytes > PAUSE_AT_BYTES and not self._parser.complete:
            self._pause()

    def _pause(self) -> None:
        if not self._is_paused and self._connection is not None:
            self._is_paused = True
            self._connection.pause_reading()

    def _resume(self) -> None:
        if self._buffered_bytes < RESUME_AT_BYTES and self._connection is not None:
            self._is_paused = False
            self._connection.resume_reading()

    # ending

    def _release(self) -> None:
        """The response is complete: return the connection; buffered blocks can still be read."""
        connection, self._connection = self._connection, None
        self.deadline.watcher = None
        self.stage = _AT_END[self.stage]
        if connection is not None and connection.exchange is self:
            connection.finish()

    def _fail(self, error: SDKError) -> None:
        connection, self._connection = self._connection, None
        self.deadline.watcher = None
        self._error = error
        self.stage = _AT_FAILURE[self.stage]
        if connection is not None and connection.exchange is self:
            connection.abort()
        self._wake()

    # waiting

    def _wait(self) -> asyncio.Future[Block | None]:
        """A future of the next block, or of None when the head has arrived or nothing more follows."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("another task is reading this stream: one task reads, and hands on what others need")
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if self._error is None or self.stage == "unanswered":
            waiter.set_result(None)
        else:
            waiter.set_exception(self._error)
            waiter.exception()  # mark it as retrieved, so that a reader cancelled meanwhile causes no warning

    # limits

    def _watch(self) -> None:
        if self._connection is not None:
            self._connection.watch(self.deadline.expires_ns())

    def check_limits(self) -> None:
        """Fail if a limit has passed; otherwise check again when the next one may have."""
        if self._passed() is None:
            self._watch()
        elif not self._is_looking:
            self._is_looking = True
            self._look(LAST_TURNS)

    def _passed(self) -> RequestTimeoutError | None:
        """The error of a limit that has passed; a silence that the server did not cause does not count."""
        is_sending = self._connection is not None and self._connection.is_sending
        if self._blocks or self._is_unread or is_sending:  # the reader or the network is late, not the server
            self.deadline.progress(monotonic_ns())
        return self.deadline.error()

    def _look(self, turns: int) -> None:
        """Let the loop read the data that waits in the socket before a limit becomes an error."""
        if self._connection is None:
            return
        error = self._passed()
        if error is None:
            self._is_looking = False
            self._watch()
        elif turns:
            self._loop.call_soon(self._look, turns - 1)
        else:
            self._fail(error)
