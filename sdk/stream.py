"""Streams of typed chunks, for `for` and for `async for`, over one reader that knows how a stream may end."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from sdk.answer import excerpt, reported_error
from sdk.chunks import (
    DECODERS,
    ChatCompletionStreamResponse,
    CompletionStreamResponse,
    DeltaMessage,
    ToolCallPiece,
)
from sdk.deadline import Deadline
from sdk.errors import ProtocolError, SDKError, StreamServerError, StreamTruncatedError
from sdk.flow import Answered
from sdk.sse import EventDecoder, TypedEvent
from sdk.transport.base import AsyncExchange, Block, Exchange
from sdk.types import Function, ToolCall, UsageInfo

Chunk = TypeVar("Chunk", bound=ChatCompletionStreamResponse | CompletionStreamResponse)


class StreamReader(Generic[Chunk]):
    """Bytes of a stream in, chunks out, without I/O; what they amount to accumulates here.

    `done` is set by `[DONE]`. A chunk without choices (the usage that closes a stream, say) gives up its usage and is
    not passed on, so that `chunk.choices[0]` always exists.
    """

    def __init__(self, kind: type[Chunk], deadline: Deadline) -> None:
        self._decode: Callable[[bytes], Chunk] = DECODERS[kind]
        self._is_chat = kind is ChatCompletionStreamResponse
        self._deadline = deadline
        self._watch_stall = deadline.timeouts.stall is not None
        self._decoder = EventDecoder()
        self._texts: defaultdict[int, list[str]] = defaultdict(list)
        self._thoughts: list[str] = []
        self._calls: dict[int, ToolCall] = {}
        self._events = 0
        self.finish_reasons: dict[int, str] = {}
        self._usage: dict[str, Any] | None = None
        self.done = False

    def feed(self, block: Block) -> list[Chunk]:
        """The chunks that a block completes. Raises StreamServerError or ProtocolError."""
        chunks = self._chunks(self._decoder.feed(block.data))
        if self._watch_stall and chunks:
            self._deadline.progress(block.arrived_ns)
        return chunks

    def feed_eof(self) -> list[Chunk]:
        """The chunks of an event that lacks its blank line. Raises StreamTruncatedError when the end came too early."""
        chunks = self._chunks(self._decoder.feed_eof())
        if not self.done and not self.finish_reasons:
            raise StreamTruncatedError(
                f"the server closed the stream after {self._events} events without a finish reason or [DONE]"
            )
        return chunks

    def text(self, index: int = 0) -> str:
        """The text so far of one of the `n` answers."""
        return _joined(self._texts.get(index))

    @property
    def usage(self) -> UsageInfo | None:
        """The server's count so far; None until it says."""
        return None if self._usage is None else UsageInfo.model_validate(self._usage)

    @property
    def reasoning(self) -> str:
        """The reasoning so far, of the first answer."""
        return _joined(self._thoughts)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls so far, of the first answer, each put together from its pieces."""
        return [self._calls[index] for index in sorted(self._calls)]

    def _chunks(self, payloads: list[bytes]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for payload in payloads:
            if self.done or payload == b"[DONE]":
                self.done = True  # nothing after [DONE] is part of the answer
                break
            try:
                chunk = self._decode(payload)
            except ValueError as error:
                raise self._no_chunk(payload, error) from None
            choices = chunk.choices
            if not choices or type(payload) is TypedEvent:
                self._refuse_error(payload)
            self._events += 1
            if chunk.usage_fields is not None:
                self._usage = chunk.usage_fields
            if choices:
                chunk.raw = payload
                for choice in choices:
                    if self._is_chat:
                        self._take_chat(choice)
                    else:
                        self._take_completion(choice)
                chunks.append(chunk)
        return chunks

    def _no_chunk(self, payload: bytes, error: ValueError) -> SDKError:
        """The error for an event that does not fit: the server's own, if it is one."""
        try:
            self._refuse_error(payload)
        except StreamServerError as reported:
            return reported
        return ProtocolError(f"event {self._events + 1} of the stream is no chunk: {error}: {excerpt(payload)}")

    @staticmethod
    def _refuse_error(payload: bytes) -> None:
        try:
            found = reported_error(json.loads(payload))
        except ValueError:
            return  # not even JSON
        if found is not None:
            raise found

    def _take_chat(self, choice: Any) -> None:
        delta = choice.delta  # it and its text may be null until here
        if delta is None:
            delta = choice.delta = DeltaMessage()
        if delta.content:
            self._texts[choice.index].append(delta.content)
        elif delta.content is None:
            delta.content = ""
        if (delta.reasoning or delta.reasoning_content or delta.tool_calls) and choice.index == 0:
            self._take_thoughts_and_calls(delta)
        if choice.finish_reason:
            self.finish_reasons[choice.index] = choice.finish_reason

    def _take_completion(self, choice: Any) -> None:
        if choice.text:
            self._texts[choice.index].append(choice.text)
        elif choice.text is None:
            choice.text = ""
        if choice.finish_reason:
            self.finish_reasons[choice.index] = choice.finish_reason

    def _take_thoughts_and_calls(self, delta: DeltaMessage) -> None:
        if thoughts := delta.thoughts:
            self._thoughts.append(thoughts)
        for piece in delta.tool_calls or ():
            self._take_call(piece)

    def _take_call(self, piece: ToolCallPiece) -> None:
        index = len(self._calls) if piece.index is None else piece.index
        call = self._calls.setdefault(index, ToolCall(function=Function(arguments="")))
        call.id = call.id or piece.id
        call.type = piece.type or call.type
        if piece.function is not None:
            call.function.name = call.function.name or piece.function.name
            call.function.arguments = (call.function.arguments or "") + (piece.function.arguments or "")


def _joined(parts: list[str] | None) -> str:
    """The parts as one text; they are kept joined, so that reading it after each chunk costs no more than the text."""
    if not parts:
        return ""
    if len(parts) > 1:
        parts[:] = ["".join(parts)]
    return parts[0]


class _StreamFacts(Generic[Chunk]):
    """What a stream tells beside its chunks."""

    def __init__(self, answered: Answered, kind: type[Chunk]) -> None:
        self._reader = StreamReader(kind, answered.deadline)
        self._deadline = answered.deadline
        self._ready: deque[Chunk] = deque()
        self._at_end = False
        self._ended = False
        self._model = answered.question.model
        self._url = answered.request.url
        self.request_id = answered.request_id
        """The id of the request: the server's where it names one, else the one that was sent."""

    @property
    def text(self) -> str:
        """The text so far, of the first answer."""
        return self._reader.text()

    @property
    def texts(self) -> list[str]:
        """The text so far of each of the `n` answers."""
        return [self._reader.text(index) for index in sorted(self._reader._texts)]  # noqa: SLF001 - the two are one

    @property
    def reasoning(self) -> str:
        """The reasoning so far, of the first answer."""
        return self._reader.reasoning

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls so far, of the first answer."""
        return self._reader.tool_calls

    @property
    def usage(self) -> UsageInfo | None:
        """Tokens as the server counted them; None until it says, usually at the end."""
        return self._reader.usage

    @property
    def finish_reason(self) -> str | None:
        """Why the first answer ended; None while it goes on."""
        return self._reader.finish_reasons.get(0)

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open"
        return f"<{type(self).__name__} {self._model} {state}, {len(self.text)} characters, request {self.request_id}>"

    def _told(self, error: SDKError) -> SDKError:
        """The error with what this stream knows about it."""
        error.url = self._url
        error.model = self._model
        error.request_id = self.request_id
        error.elapsed_s = self._deadline.elapsed_s()
        error.partial = self.text
        return error


class Stream(_StreamFacts[Chunk]):
    """A stream of chunks: iterate over it once. Leaving it early (`break`, `close`, `with`) tells the server to stop.

    Raises StreamTruncatedError, StreamServerError, ProtocolError, ConnectionLostError or a RequestTimeoutError; each
    has the text that had arrived in `.partial`.
    """

    def __init__(self, answered: Answered, kind: type[Chunk]) -> None:
        self._exchange: Exchange = answered.exchange()
        super().__init__(answered, kind)

    def __iter__(self) -> Stream[Chunk]:
        return self

    def __next__(self) -> Chunk:
        ready = self._ready
        try:
            while not ready:
                if self._at_end:
                    self.close()
                    raise StopIteration
                block = self._exchange.read()
                if block is None:
                    self._at_end = True
                    ready += self._reader.feed_eof()
                    continue
                chunks = self._reader.feed(block)
                self._at_end = self._reader.done
                if len(chunks) == 1:  # a token by itself, as most come
                    return chunks[0]
                ready += chunks
        except SDKError as error:
            self.close()
            raise self._told(error) from error.__cause__
        return ready.popleft()

    def close(self) -> None:
        """End the stream; the server learns of it at once. Safe to repeat."""
        if not self._ended:
            self._ended = True
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


class AsyncStream(_StreamFacts[Chunk]):
    """A stream of chunks for `async for`; otherwise as `Stream`. Cancelling a read closes the connection at once."""

    def __init__(self, answered: Answered, kind: type[Chunk]) -> None:
        self._exchange: AsyncExchange = answered.exchange()
        super().__init__(answered, kind)

    def __aiter__(self) -> AsyncStream[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        ready = self._ready
        while not ready:
            if self._at_end:
                await self.aclose()
                raise StopAsyncIteration
            try:
                block = await self._exchange.arrives()
                if block is None:
                    self._at_end = True
                    ready += self._reader.feed_eof()
                    continue
                chunks = self._reader.feed(block)
                self._at_end = self._reader.done
            except SDKError as error:
                await self.aclose()
                raise self._told(error) from error.__cause__
            except BaseException:  # cancelled
                self._exchange.close()
                raise
            if len(chunks) == 1:  # a token by itself, as most come
                return chunks[0]
            ready += chunks
        return ready.popleft()

    async def aclose(self) -> None:
        """End the stream; the server learns of it at once. Safe to repeat."""
        if not self._ended:
            self._ended = True
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

    def __del__(self) -> None:
        # Whoever leaves `async for` by `break` closes nothing: the server would go on generating into a full buffer.
        if not getattr(self, "_ended", True):
            self._exchange.abandon()
