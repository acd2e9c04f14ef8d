"""Streams of typed chunks, for `for` and `async for`; both use one reader, which knows how a stream may end."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic

from sdk.call import Answered
from sdk.errors import ConnectionLostError, RequestTimeoutError, SDKError
from sdk.known_keys import keys_of, without_keys
from sdk.shown_text import MAX_FACT, shown
from sdk.stream_reader import Chunk, StreamReader, has_text
from sdk.streamed_answer import StreamedAnswer
from sdk.transport.base import AsyncExchange, Exchange

if TYPE_CHECKING:
    from sdk.types import Function, ToolCall, UsageInfo


class _StreamFacts(Generic[Chunk]):
    """The facts that both kinds of stream offer in addition to their chunks."""

    __slots__ = (
        "__weakref__",
        "_at_end",
        "_deadline",
        "_ended",
        "_expected",
        "_is_one",
        "_left",
        "_model",
        "_owner",
        "_reader",
        "_ready",
        "_request",
        "request_id",
    )

    def __init__(self, answered: Answered, kind: type[Chunk], owner: object) -> None:
        self._reader = StreamReader(kind, answered.deadline, answered.max_bytes, answered.question.expected_tokens)
        self._owner = owner  # keeps the client alive: without it, the connections would close
        self._deadline = answered.deadline
        self._ready: deque[Chunk] | tuple[()] = ()  # a deque only when needed: most blocks hold one token
        self._at_end = False
        self._ended = False
        self._left = False
        self._expected = answered.question.expected_choices
        self._is_one = self._expected == 1
        self._model = answered.question.model
        self._request = answered.request
        self.request_id: str = answered.request_id
        """The server's id of the request if it names one, else the id that was sent."""

    @property
    def _first(self) -> StreamedAnswer:
        """The first answer, even if the server does not number it 0."""
        if self._is_one or self._at_end:
            return next(iter(self._reader.answers), self._reader.first)
        return self._reader.first

    @property
    def text(self) -> str:
        """The text of the first answer so far."""
        return self._first.text

    @property
    def texts(self) -> list[str]:
        """The text of each of the `n` answers so far, empty if one has none."""
        return [answer.text for answer in self._reader.answers]

    @property
    def answers(self) -> list[StreamedAnswer]:
        """Those of the `n` answers that have begun, each with its text, reasoning and calls."""
        return self._reader.answers

    @property
    def reasoning(self) -> str:
        """The reasoning of the first answer so far."""
        return self._first.reasoning

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls of the first answer so far."""
        return self._first.tool_calls

    @property
    def refusal(self) -> str:
        """The refusal in the first answer so far; empty if the model does not refuse."""
        return self._first.refusal

    @property
    def function_call(self) -> Function | None:
        """The function call of the first answer, in the form that preceded tool calls; None without one."""
        return self._first.function_call

    @property
    def usage(self) -> UsageInfo | None:
        """Tokens as the server counted them; None until it reports them, usually at the end."""
        return self._reader.usage

    @property
    def finish_reason(self) -> str | None:
        """Why the first answer ended; None until it ends."""
        return self._first.finish_reason

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        model, request_id = shown(self._model, MAX_FACT), keys_of(self._request).hide(self.request_id)
        said = f"{len(self.text)} characters, request {shown(request_id, MAX_FACT)}"
        return f"<{type(self).__name__} {model} {state}, {said}>"

    def _begin(self) -> None:
        if self._left:
            raise RuntimeError(
                "an earlier loop left this stream, which ended it; to pause in between, use next() or anext()"
            )

    def _end(self) -> bool:
        """Mark it as ended; returns whether it was still open."""
        was_open, self._ended, self._at_end = not self._ended, True, True
        self._ready = ()
        self._reader.failure = None
        return was_open

    def _take_finish(self, chunks: list[Chunk], arrived_ns: int) -> None:
        """At least one choice has finished; once all have, limit the wait for the rest.

        If the server goes on with text, the limit is lifted so that the text is not cut off.
        """
        deadline = self._deadline
        if not deadline.is_finishing:
            if self._reader.finished >= self._expected:
                deadline.enter("finish", arrived_ns)
        elif any(map(has_text, chunks)):
            deadline.enter("stall", arrived_ns)
            self._expected = sys.maxsize

    def _is_at_end_by(self, error: SDKError) -> bool:
        """Whether the error just ends the stream: it was closed elsewhere, or every choice had finished."""
        is_complete = self._deadline.is_finishing and isinstance(error, (RequestTimeoutError, ConnectionLostError))
        self._at_end = self._ended or is_complete
        return self._at_end

    def _with_facts(self, error: SDKError) -> SDKError:
        """The error, with the facts of this stream filled in."""
        error.url = self._request.url
        error.model = self._model
        error.request_id = self.request_id
        error.elapsed_s = self._deadline.elapsed_s()
        error.partial = self.text
        return without_keys(error, self._request)


class Stream(_StreamFacts[Chunk]):
    """A stream of chunks: iterate over it once. Leaving it early (`break`, `close`, `with`) makes the server stop.

    Raises StreamTruncatedError, StreamServerError, ProtocolError, ConnectionLostError or a RequestTimeoutError; the
    text that had arrived is in its `.partial`. Once closed, or after an error, the stream is at its end.

    >>> for chunk in inference_client(model, "Hi", request_config=XRequestConfig(stream=True)):
    ...     print(chunk.choices[0].delta.content, end="", flush=True)
    """

    __slots__ = ("_exchange",)

    def __init__(self, answered: Answered, kind: type[Chunk], owner: object = None) -> None:
        self._exchange: Exchange = answered.exchange()
        super().__init__(answered, kind, owner)

    def __iter__(self) -> Iterator[Chunk]:
        self._begin()
        return _Reading(self)

    def __next__(self) -> Chunk:
        ready, reader = self._ready, self._reader
        while not ready:
            if self._at_end and reader.failure is None:
                self.close()
                raise StopIteration
            try:
                if reader.failure is not None:
                    raise reader.failure
                block = self._exchange.read()
                if block is None:
                    self._at_end = True
                    ready = self._ready = deque(reader.feed_eof())
                    continue
                chunks = reader.feed(block)
                if reader.done:
                    self._at_end = True
                elif reader.finished:
                    self._take_finish(chunks, block.arrived_ns)
            except SDKError as error:
                if self._is_at_end_by(error):
                    continue
                error_with_facts = self._with_facts(error)
                self.close()
                raise error_with_facts from error.__cause__
            except BaseException:  # Ctrl-C
                self.close()
                raise
            if len(chunks) == 1:  # one token, the common case
                return chunks[0]
            ready = self._ready = deque(chunks)
        return ready.popleft()

    def close(self) -> None:
        """End the stream, so that the server stops. Safe to repeat."""
        if self._end():
            if self._reader.done:
                self._exchange.finish()
            else:
                self._exchange.close()

    def __enter__(self) -> Stream[Chunk]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self._exchange.close()


class _Reading(Generic[Chunk]):
    """One loop over a stream, which ends the stream when it ends."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream[Chunk]) -> None:
        self._stream = stream

    def __iter__(self) -> _Reading[Chunk]:
        return self

    def __next__(self) -> Chunk:
        stream = self._stream
        ready = stream._ready  # noqa: SLF001 - the two classes belong together
        return ready.popleft() if ready else stream.__next__()

    def __del__(self) -> None:
        stream = self._stream
        if not stream._ended:  # noqa: SLF001 - the two classes belong together
            stream._left = True  # noqa: SLF001
            stream.close()


class AsyncStream(_StreamFacts[Chunk]):
    """A stream of chunks for `async for`; otherwise as `Stream`. Cancelling a read closes the connection immediately.

    Only one task may read it: a second one gets a RuntimeError.

    >>> async for chunk in await inference_client_async(model, "Hi", request_config=XRequestConfig(stream=True)):
    ...     print(chunk.choices[0].delta.content, end="", flush=True)
    """

    __slots__ = ("_exchange",)

    def __init__(self, answered: Answered, kind: type[Chunk], owner: object = None) -> None:
        self._exchange: AsyncExchange = answered.exchange()
        super().__init__(answered, kind, owner)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        self._begin()
        return _AsyncReading(self)

    async def __anext__(self) -> Chunk:
        ready, reader = self._ready, self._reader
        while not ready:
            if reader.failure is None:
                if self._at_end:
                    await self.aclose()
                    raise StopAsyncIteration
                arrival = self._exchange.arrives()
            try:
                if reader.failure is not None:
                    raise reader.failure
                block = await arrival
                if block is None:
                    self._at_end = True
                    ready = self._ready = deque(reader.feed_eof())
                    continue
                chunks = reader.feed(block)
                if reader.done:
                    self._at_end = True
                elif reader.finished:
                    self._take_finish(chunks, block.arrived_ns)
            except SDKError as error:
                if self._is_at_end_by(error):
                    continue
                error_with_facts = self._with_facts(error)
                await self.aclose()
                raise error_with_facts from error.__cause__
            except BaseException:  # cancelled
                self._end()
                self._exchange.close()
                raise
            if len(chunks) == 1:  # one token, the common case
                return chunks[0]
            ready = self._ready = deque(chunks)
        return ready.popleft()

    async def aclose(self) -> None:
        """End the stream, so that the server stops. Safe to repeat."""
        if self._end():
            if self._reader.done:
                await self._exchange.finish()
            else:
                await self._exchange.aclose()

    async def __aenter__(self) -> AsyncStream[Chunk]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def abandon(self) -> None:
        """End the stream without waiting, from any thread; for code that cannot await."""
        if self._end():
            self._exchange.abandon()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self._exchange.abandon()


class _AsyncReading(Generic[Chunk]):
    """One loop over a stream, which ends the stream when it ends."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AsyncStream[Chunk]) -> None:
        self._stream = stream

    def __aiter__(self) -> _AsyncReading[Chunk]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Chunk]:
        return self._stream.__anext__()

    def __del__(self) -> None:
        stream = self._stream
        if not stream._ended:  # noqa: SLF001 - the two classes belong together
            stream._left = True  # noqa: SLF001
            stream.abandon()
