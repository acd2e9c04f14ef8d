"""Streams of typed chunks, for `for` and for `async for`, over one reader that knows how a stream may end."""

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
    """What a stream tells beside its chunks."""

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
        self._owner = owner  # a client that nobody holds any more would take its connections along
        self._deadline = answered.deadline
        self._ready: deque[Chunk] | tuple[()] = ()  # no deque until one is needed: most tokens come by themselves
        self._at_end = False
        self._ended = False
        self._left = False
        self._expected = answered.question.expected_choices
        self._is_one = self._expected == 1
        self._model = answered.question.model
        self._request = answered.request
        self.request_id: str = answered.request_id
        """The id of the request: the server's where it names one, else the one that was sent."""

    @property
    def _first(self) -> StreamedAnswer:
        """The first answer, also where the server does not number it 0."""
        if self._is_one or self._at_end:
            return next(iter(self._reader.answers), self._reader.first)
        return self._reader.first

    @property
    def text(self) -> str:
        """The text so far, of the first answer."""
        return self._first.text

    @property
    def texts(self) -> list[str]:
        """The text so far of each of the `n` answers, empty where one has none."""
        return [answer.text for answer in self._reader.answers]

    @property
    def answers(self) -> list[StreamedAnswer]:
        """The `n` answers that chunks have come about, each with its text, reasoning and calls."""
        return self._reader.answers

    @property
    def reasoning(self) -> str:
        """The reasoning so far, of the first answer."""
        return self._first.reasoning

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls so far, of the first answer."""
        return self._first.tool_calls

    @property
    def refusal(self) -> str:
        """The model's refusal so far, of the first answer; empty when it does not refuse."""
        return self._first.refusal

    @property
    def function_call(self) -> Function | None:
        """The call of the first answer in the form that came before tool calls; None without one."""
        return self._first.function_call

    @property
    def usage(self) -> UsageInfo | None:
        """Tokens as the server counted them; None until it says, usually at the end."""
        return self._reader.usage

    @property
    def finish_reason(self) -> str | None:
        """Why the first answer ended; None while it goes on."""
        return self._first.finish_reason

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        model, request_id = shown(self._model, MAX_FACT), keys_of(self._request).hide(self.request_id)
        said = f"{len(self.text)} characters, request {shown(request_id, MAX_FACT)}"
        return f"<{type(self).__name__} {model} {state}, {said}>"

    def _begin(self) -> None:
        if self._left:
            raise RuntimeError(
                "this stream was left early, which ended it; to pause in between, read it by next() or anext()"
            )

    def _end(self) -> bool:
        """Mark it as ended; whether it was not yet."""
        was_open, self._ended, self._at_end = not self._ended, True, True
        self._ready = ()
        self._reader.failure = None
        return was_open

    def _take_finish(self, chunks: list[Chunk], arrived_ns: int) -> None:
        """At least one choice has finished; once all have, wait only briefly for the rest.

        If the server goes on with text, it had not finished: its text is not cut off.
        """
        deadline = self._deadline
        if not deadline.is_finishing:
            if self._reader.finished >= self._expected:
                deadline.enter("finish", arrived_ns)
        elif any(map(has_text, chunks)):
            deadline.enter("stall", arrived_ns)
            self._expected = sys.maxsize

    def _is_at_end_by(self, error: SDKError) -> bool:
        """Whether the error only ends the stream: it was closed elsewhere, or every choice had finished."""
        is_complete = self._deadline.is_finishing and isinstance(error, (RequestTimeoutError, ConnectionLostError))
        self._at_end = self._ended or is_complete
        return self._at_end

    def _told(self, error: SDKError) -> SDKError:
        """The error with what this stream knows about it."""
        error.url = self._request.url
        error.model = self._model
        error.request_id = self.request_id
        error.elapsed_s = self._deadline.elapsed_s()
        error.partial = self.text
        return without_keys(error, self._request)


class Stream(_StreamFacts[Chunk]):
    """A stream of chunks: iterate over it once. Leaving it early (`break`, `close`, `with`) tells the server to stop.

    Raises StreamTruncatedError, StreamServerError, ProtocolError, ConnectionLostError or a RequestTimeoutError; each
    has the text that had arrived in `.partial`. Once closed, or after an error, it is at its end.

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
                told = self._told(error)
                self.close()
                raise told from error.__cause__
            except BaseException:  # Ctrl-C
                self.close()
                raise
            if len(chunks) == 1:  # a token by itself, as most come
                return chunks[0]
            ready = self._ready = deque(chunks)
        return ready.popleft()

    def close(self) -> None:
        """End the stream; the server learns of it at once. Safe to repeat."""
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
    """One loop over a stream: when the loop is left, so is the stream."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream[Chunk]) -> None:
        self._stream = stream

    def __iter__(self) -> _Reading[Chunk]:
        return self

    def __next__(self) -> Chunk:
        stream = self._stream
        ready = stream._ready  # noqa: SLF001 - the two are one
        return ready.popleft() if ready else stream.__next__()

    def __del__(self) -> None:
        stream = self._stream
        if not stream._ended:  # noqa: SLF001 - the two are one
            stream._left = True  # noqa: SLF001
            stream.close()


class AsyncStream(_StreamFacts[Chunk]):
    """A stream of chunks for `async for`; otherwise as `Stream`. Cancelling a read closes the connection at once.

    One task reads it; RuntimeError is raised where another is reading it already.

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
                told = self._told(error)
                await self.aclose()
                raise told from error.__cause__
            except BaseException:  # cancelled
                self._end()
                self._exchange.close()
                raise
            if len(chunks) == 1:  # a token by itself, as most come
                return chunks[0]
            ready = self._ready = deque(chunks)
        return ready.popleft()

    async def aclose(self) -> None:
        """End the stream; the server learns of it at once. Safe to repeat."""
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
        """End the stream without waiting, from anywhere; for who leaves it where nothing can be awaited."""
        if self._end():
            self._exchange.abandon()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self._exchange.abandon()


class _AsyncReading(Generic[Chunk]):
    """One loop over a stream: when the loop is left, so is the stream."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AsyncStream[Chunk]) -> None:
        self._stream = stream

    def __aiter__(self) -> _AsyncReading[Chunk]:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Chunk]:
        return self._stream.__anext__()

    def __del__(self) -> None:
        stream = self._stream
        if not stream._ended:  # noqa: SLF001 - the two are one
            stream._left = True  # noqa: SLF001
            stream.abandon()
