"""What the bytes of a stream amount to: chunks, and the text, calls and usage that accumulate, without I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import msgspec

from sdk.answer import MAX_ERROR_BYTES, excerpt, not_an_answer, read_json, reported_error
from sdk.chunks import (
    DECODERS,
    ChatCompletionStreamResponse,
    CompletionStreamResponse,
    DeltaMessage,
    ToolCallPiece,
)
from sdk.deadline import Deadline
from sdk.errors import ProtocolError, SDKError, StreamServerError, StreamTruncatedError
from sdk.sse import EventDecoder, TypedEvent
from sdk.transport.base import Block
from sdk.types import Function, ToolCall, UsageInfo

Chunk = TypeVar("Chunk", bound=ChatCompletionStreamResponse | CompletionStreamResponse)


class StreamReader(Generic[Chunk]):
    """Bytes of a stream in, chunks out, without I/O; what they amount to accumulates here.

    `done` is set by `[DONE]`. A chunk without choices (the usage that closes a stream, say) gives up its usage and is
    not passed on, so that `chunk.choices[0]` always exists.
    """

    __slots__ = (
        "_calls",
        "_deadline",
        "_decode",
        "_decoder",
        "_events",
        "_is_chat",
        "_others",
        "_text",
        "_thoughts",
        "_unrecognised",
        "_usage",
        "_watch_stall",
        "done",
        "failure",
        "finish_reasons",
    )

    def __init__(self, kind: type[Chunk], deadline: Deadline) -> None:
        self._decode: Callable[[bytes], Chunk] = DECODERS[kind]
        self._is_chat = kind is ChatCompletionStreamResponse
        self._deadline = deadline
        self._watch_stall = deadline.timeouts.stall is not None
        self._decoder = EventDecoder()
        self._text: list[str] = []  # of the first answer, apart from the others: most streams have no more
        self._others: dict[int, list[str]] = {}
        self._thoughts: list[str] = []
        self._calls: dict[int, _CallPieces] = {}
        self._events = 0
        self._unrecognised = b""  # what came before any event: perhaps no stream at all
        self.finish_reasons: dict[int, str] = {}
        self._usage: dict[str, Any] | None = None
        self.done = False
        self.failure: SDKError | None = None
        """What is wrong behind the chunks that were given last: to be raised once they are passed on."""

    def feed(self, block: Block) -> list[Chunk]:
        """The chunks that a block completes. Raises StreamServerError or ProtocolError."""
        if self._events == 0 and len(self._unrecognised) < MAX_ERROR_BYTES:
            self._unrecognised += block.data
        chunks = self._chunks(self._decoder.feed(block.data))
        if self._watch_stall and chunks:
            self._deadline.progress(block.arrived_ns)
        return chunks

    def feed_eof(self) -> list[Chunk]:
        """The chunks of an event that lacks its blank line. Raises StreamTruncatedError when the end came too early."""
        try:
            chunks = self._chunks(self._decoder.feed_eof())
        except ProtocolError as error:
            raise self._truncated(f"inside an event ({error.message})") from None
        if not self.done and (not self.finish_reasons or set(self.indexes) - self.finish_reasons.keys()):
            problem = self._no_stream() or self._truncated("without a finish reason or [DONE]")
            self._fail(problem, chunks)
        return chunks

    def _fail(self, problem: SDKError, chunks: list[Chunk]) -> None:
        """Raise it, or leave it in `failure` where chunks came before it."""
        if not chunks:
            raise problem
        self.failure = problem

    def _truncated(self, how: str) -> StreamTruncatedError:
        return StreamTruncatedError(f"the server closed the stream after {self._events} events {how}")

    def _no_stream(self) -> SDKError | None:
        """The error for an answer that is JSON and no stream, though nothing of its head says so."""
        if self._events or not self._unrecognised.lstrip().startswith(b"{"):
            return None
        return not_an_answer(self._unrecognised)

    @property
    def indexes(self) -> list[int]:
        """Of the answers that have text so far."""
        return [0, *sorted(self._others)] if self._text else sorted(self._others)

    def text(self, index: int = 0) -> str:
        """The text so far of one of the `n` answers."""
        return _joined(self._others.get(index) if index else self._text)

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
        return [self._calls[index].whole() for index in sorted(self._calls)]

    def _chunks(self, payloads: list[bytes]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for payload in payloads:
            if self.done or payload == b"[DONE]":
                self.done = True  # nothing after [DONE] is part of the answer
                break
            try:
                chunk = self._decode(payload)
            except (ValueError, RecursionError) as error:
                found = self._odd_chunk(payload, error)
                if isinstance(found, SDKError):
                    self._fail(found, chunks)
                    break
                if found is None:
                    continue
                chunk = found
            self._events += 1
            if chunk.usage_fields is not None:
                self._usage = chunk.usage_fields
            choices = chunk.choices
            if choices:
                chunk.raw = payload
                for choice in choices:
                    if self._is_chat:
                        self._take_chat(choice)
                    else:
                        self._take_completion(choice)
                chunks.append(chunk)
            if (not choices or chunk.error is not None or type(payload) is TypedEvent) and (
                reported := _reported(payload)
            ) is not None:
                self._fail(reported, chunks)
                break
        return chunks

    def _odd_chunk(self, payload: bytes, cause: Exception) -> Chunk | SDKError | None:
        """A chunk with odd fields; the error for an event that is no chunk, or None for events of other kinds."""
        if payload.strip() == b"[DONE]":
            self.done = True
            return None
        from sdk.odd_chunk import read_odd_chunk  # few servers need it

        try:
            kind: Any = ChatCompletionStreamResponse if self._is_chat else CompletionStreamResponse
            return cast(Chunk, read_odd_chunk(kind, payload))
        except msgspec.ValidationError as error:
            return self._no_chunk(payload, error)
        except (ValueError, RecursionError):
            return self._no_chunk(payload, cause)

    def _no_chunk(self, payload: bytes, cause: Exception) -> SDKError | None:
        """The error for an event that is no chunk: the server's own, if it is one; None for events of other kinds."""
        if (reported := _reported(payload)) is not None:
            return reported
        if isinstance(payload, TypedEvent):
            said = f"the server reported an error: {excerpt(payload)}"
            return StreamServerError(said) if payload.event == "error" else None
        if payload.isspace():
            return None
        return ProtocolError(f"event {self._events + 1} of the stream is no chunk: {cause}: {excerpt(payload)}")

    def _take_chat(self, choice: Any) -> None:
        delta = choice.delta  # it and its text may be null until here
        if delta is None:
            delta = choice.delta = DeltaMessage()
        content = delta.content
        if content:
            if choice.index == 0:
                self._text.append(content)
            else:
                self._others.setdefault(choice.index, []).append(content)
        elif content is None:
            delta.content = ""
        if (delta.reasoning or delta.reasoning_content or delta.tool_calls) and choice.index == 0:
            self._take_thoughts_and_calls(delta)
        if choice.finish_reason:
            self.finish_reasons[choice.index] = choice.finish_reason

    def _take_completion(self, choice: Any) -> None:
        text = choice.text
        if text:
            if choice.index == 0:
                self._text.append(text)
            else:
                self._others.setdefault(choice.index, []).append(text)
        elif text is None:
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
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = _CallPieces()
        call.take(piece)


class _CallPieces:
    """A tool call as far as it has come."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._type: str | None = "function"
        self._name: str | None = None
        self._arguments: list[str] = []

    def take(self, piece: ToolCallPiece) -> None:
        self._id = self._id or piece.id
        self._type = piece.type or self._type
        if piece.function is not None:
            self._name = self._name or piece.function.name
            if piece.function.arguments:
                self._arguments.append(piece.function.arguments)

    def whole(self) -> ToolCall:
        return ToolCall(
            id=self._id, type=self._type, function=Function(name=self._name, arguments=_joined(self._arguments))
        )


def _reported(payload: bytes) -> StreamServerError | None:
    """The error that an event reports, or None."""
    try:
        return reported_error(read_json(payload))
    except ValueError:
        return None  # not even JSON


def _joined(parts: list[str] | None) -> str:
    """The parts as one text; they are kept joined, so that reading it again costs one copy of what came before."""
    if not parts:
        return ""
    if len(parts) > 1:
        parts[:] = ["".join(parts)]
    return parts[0]
