"""Turns the bytes of a stream into chunks, and collects its text, calls and usage, without I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from sdk.answer_limit import MAX_ANSWER_BYTES
from sdk.body import BOM, excerpt, read_json
from sdk.chunks import (
    DECODERS,
    ChatCompletionStreamResponse,
    CompletionResponseStreamChoice,
    CompletionStreamResponse,
    DeltaMessage,
    read_usage,
)
from sdk.deadline import Deadline
from sdk.error_body import MAX_ERROR_BYTES, not_an_answer
from sdk.errors import ProtocolError, SDKError, StreamServerError, StreamTruncatedError
from sdk.reported import error_words, reported_error
from sdk.sse import EventDecoder, TypedEvent
from sdk.stream_limits import CHECK_BYTES, MAX_ANSWERS, StreamLimits
from sdk.streamed_answer import StreamedAnswer
from sdk.transport.base import Block

if TYPE_CHECKING:
    from sdk.types import UsageInfo

Chunk = TypeVar("Chunk", bound=ChatCompletionStreamResponse | CompletionStreamResponse)


class StreamReader(Generic[Chunk]):
    """Takes the bytes of a stream, returns its chunks, and keeps the answers that they add up to.

    `done` is set by `[DONE]`. A chunk without choices, such as the usage that ends a stream, is not passed on once its
    usage is taken, so that `chunk.choices[0]` always exists.
    """

    __slots__ = (
        "_deadline",
        "_decode",
        "_decoder",
        "_events",
        "_is_beginning",
        "_is_chat",
        "_limits",
        "_max_bytes",
        "_others",
        "_tokens",
        "_unchecked",
        "_unrecognised",
        "_usage",
        "_watch_stall",
        "done",
        "failure",
        "finished",
        "first",
    )

    def __init__(
        self, kind: type[Chunk], deadline: Deadline, max_bytes: int = MAX_ANSWER_BYTES, tokens: int | None = None
    ) -> None:
        self._decode: Callable[[bytes], Chunk] = DECODERS[kind]
        self._is_chat = kind is ChatCompletionStreamResponse
        self._deadline = deadline
        self._watch_stall = deadline.timeouts.stall is not None
        self._decoder = EventDecoder()
        self.first: StreamedAnswer = StreamedAnswer(0)
        """The first answer, which is the only one of most streams."""
        self._others: dict[int, StreamedAnswer] | None = None
        self._events = 0
        self._max_bytes = max_bytes
        self._tokens = tokens
        self._limits: StreamLimits | None = None  # most streams are too short to be checked
        self._is_beginning = True
        self._unchecked = 0  # bytes until the next check
        self._unrecognised = b""  # bytes before the first event: it may not be a stream
        self._usage: dict[str, Any] | None = None
        self.done: bool = False
        self.finished: int = 0
        """The number of answers that have their finish reason."""
        self.failure: SDKError | None = None
        """An error after the chunks that `feed` returned last: to be raised once they are passed on."""

    def feed(self, block: Block) -> list[Chunk]:
        """The chunks that a block completes. Raises StreamServerError or ProtocolError."""
        data = block.data
        self._unchecked -= len(data)
        if self._unchecked < 0:
            return self._feed_beginning(block) if self._is_beginning else self._feed_checking(block)
        if self._watch_stall:
            return self._feed_watching(block)
        return self._chunks(self._decoder.feed(data))

    def _feed_beginning(self, block: Block) -> list[Chunk]:
        """As `feed`, until the first event, or until so many other bytes that it cannot be a stream."""
        self._unrecognised += block.data
        self._unchecked = CHECK_BYTES - len(self._unrecognised)
        if self._unchecked < 0:
            self._is_beginning = False
            return self._feed_checking(block)
        chunks = self._feed_watching(block)
        self._is_beginning = self._events == 0 and len(self._unrecognised) < MAX_ERROR_BYTES
        if self._is_beginning:
            self._unchecked = 0
        return chunks

    def _feed_checking(self, block: Block) -> list[Chunk]:
        received, self._unchecked = CHECK_BYTES - self._unchecked, CHECK_BYTES
        chunks = self._feed_watching(block)
        if self._limits is None:
            self._limits = StreamLimits(self._max_bytes, self._tokens)
        answers = [self.first, *(self._others or {}).values()]
        has_ids = any(
            choice.token_ids for chunk in chunks for choice in chunk.choices
        )  # token ids are not kept elsewhere
        problem = self._limits.problem(answers, received, self._events, self.finished, has_ids=has_ids)
        if problem is not None and self.failure is None:
            self._fail(problem, chunks)
        return chunks

    def _feed_watching(self, block: Block) -> list[Chunk]:
        counted, pieces = self._usage, self.first.pieces
        count = len(pieces)
        chunks = self._chunks(self._decoder.feed(block.data))
        if len(pieces) > count or self._usage != counted or any(map(_has_progress, chunks)):
            self._deadline.progress(block.arrived_ns)
        return chunks

    def feed_eof(self) -> list[Chunk]:
        """The chunks of a last event that lacks its blank line. Raises StreamTruncatedError if the end is too early."""
        try:
            chunks = self._chunks(self._decoder.feed_eof())
        except ProtocolError as error:
            raise self._truncated(f"inside an event ({error.message})") from None
        if not self.done and (not self.finish_reasons or set(self.indexes) - self.finish_reasons.keys()):
            problem = self._error_without_stream() or self._truncated("without a finish reason or [DONE]")
            self._fail(problem, chunks)
        return chunks

    def _fail(self, problem: SDKError, chunks: list[Chunk]) -> None:
        """Raise the problem, or keep it in `failure` if chunks arrived before it."""
        if not chunks:
            raise problem
        self.failure = problem

    def _truncated(self, how: str) -> StreamTruncatedError:
        count = "1 event" if self._events == 1 else f"{self._events} events"
        return StreamTruncatedError(f"the server closed the stream after {count} {how}")

    def _error_without_stream(self) -> SDKError | None:
        """The error for an answer that is JSON rather than a stream, although its head does not say so."""
        if self._events or not self._unrecognised.removeprefix(BOM).lstrip().startswith((b"{", b"[")):
            return None
        return not_an_answer(self._unrecognised)

    @property
    def answers(self) -> list[StreamedAnswer]:
        """The answers that have begun, in the order of their index."""
        first = [] if self.first.is_empty and not self.first.begun else [self.first]
        return first if self._others is None else first + [self._others[index] for index in sorted(self._others)]

    @property
    def indexes(self) -> list[int]:
        """The indexes of the answers that have begun."""
        return [answer.index for answer in self.answers]

    @property
    def finish_reasons(self) -> dict[int, str]:
        """The finish reasons of the finished answers, by index."""
        return {answer.index: answer.finish_reason for answer in self.answers if answer.finish_reason}

    def text(self, index: int = 0) -> str:
        """The text of one of the `n` answers so far."""
        return next((answer.text for answer in self.answers if answer.index == index), "")

    @property
    def usage(self) -> UsageInfo | None:
        """The server's count so far; None until it reports one."""
        return None if self._usage is None else read_usage(self._usage)

    def _chunks(self, payloads: list[bytes]) -> list[Chunk]:
        chunks: list[Chunk] = []
        for payload in payloads:
            if self.done or payload == b"[DONE]":
                self._end(chunks)  # nothing after [DONE] is part of the answer
                break
            try:
                chunk = self._decode(payload)
            except (ValueError, RecursionError) as error:
                found = self._odd_chunk(payload, error, chunks)
                if isinstance(found, SDKError):
                    self._fail(found, chunks)
                    break
                if found is None:
                    continue
                chunk = found
            self._events += 1
            if chunk.usage_fields:
                self._usage = chunk.usage_fields
            if choices := chunk.choices:
                chunk.raw = payload
                if len(choices) > 1:
                    self._tell_apart(choices, payload)
                if self._is_chat:
                    self._take_chat(choices, payload)
                else:
                    self._take_completion(choices, payload)
                chunks.append(chunk)
            if not choices or type(payload) is TypedEvent or self.failure is not None:
                problem = self.failure or _reported(payload)
                if problem is not None:
                    self._fail(problem, chunks)
                    break
        return chunks

    def _end(self, chunks: list[Chunk]) -> None:
        if not self.done and not self.answers:
            self.done = True
            self._fail(ProtocolError("the stream ended, but none of its events had choices"), chunks)
        self.done = True

    def _odd_chunk(self, payload: bytes, cause: Exception, chunks: list[Chunk]) -> Chunk | SDKError | None:
        """A chunk with unexpected fields; the error if the event is not a chunk; None for an event of another kind."""
        if payload.strip(b' \t\r\n"').upper() == b"[DONE]":
            self._end(chunks)
            return None
        from sdk.odd_answer import read_odd_chunk  # few servers need it

        try:
            kind: Any = ChatCompletionStreamResponse if self._is_chat else CompletionStreamResponse
            chunk = cast(Chunk, read_odd_chunk(kind, payload))
        except msgspec.ValidationError as error:
            return self._error_without_chunk(payload, error)
        except (ValueError, RecursionError):
            return self._error_without_chunk(payload, cause)
        if chunk.error is not None:
            self.failure = _reported(payload)  # raised after the chunk
        for choice in chunk.choices or ():
            if (delta := getattr(choice, "delta", None)) is not None:
                self._answer(choice.index).take_rare(delta)
        return chunk

    def _error_without_chunk(self, payload: bytes, cause: Exception) -> SDKError | None:
        """The error if an event is not a chunk: the server's own, if any; None for an event of another kind."""
        if (reported := _reported(payload)) is not None:
            return reported
        if isinstance(payload, TypedEvent) or payload.isspace():
            return None
        return self._not_a_chunk(payload, cause)

    def _take_chat(self, choices: list[Any], payload: bytes) -> None:
        for choice in choices:
            answer = self._answer(choice.index) if choice.index else self.first
            delta = choice.delta  # both it and its text may be null here
            if delta is None:
                delta = choice.delta = self._instead_of_delta(payload, choices, choice, answer)
            content = delta.content
            if content:
                answer.pieces.append(content)
            else:
                answer.begun = True
                if content is None:
                    delta.content = ""
            if delta.reasoning or delta.reasoning_content or delta.tool_calls:
                answer.take(delta)
            if (reason := choice.finish_reason) and reason not in _NO_REASON:
                self.finished += answer.finish_reason is None
                answer.finish_reason = reason

    def _take_completion(self, choices: list[Any], payload: bytes) -> None:
        for choice in choices:
            answer = self._answer(choice.index) if choice.index else self.first
            text = choice.text
            if not text and (b'"delta"' in payload or b'"message"' in payload):
                text = choice.text = self._instead_of_delta(payload, choices, choice, answer).content
            if text:
                answer.pieces.append(text)
            else:
                answer.begun = True
                if text is None:
                    choice.text = ""
            if (reason := choice.finish_reason) and reason not in _NO_REASON:
                self.finished += answer.finish_reason is None
                answer.finish_reason = reason

    def _tell_apart(self, choices: list[Any], payload: bytes) -> None:
        if len({choice.index for choice in choices}) < len(choices):
            from sdk.odd_answer import number_by_place

            try:
                number_by_place(choices, payload)
            except ValueError as error:  # a number of thousands of digits, in a field that nothing else parses
                self.failure = self._not_a_chunk(payload, error)

    def _instead_of_delta(
        self, payload: bytes, choices: list[Any], choice: Any, answer: StreamedAnswer
    ) -> DeltaMessage:
        """The piece for a choice without one: for example its `message`, as far as that is new."""
        if b'"message"' in payload or b'"text"' in payload or b'"delta"' in payload:
            from sdk.odd_answer import delta_elsewhere

            place = next(place for place, item in enumerate(choices) if item is choice)
            try:
                delta = delta_elsewhere(payload, place, answer)
            except (ValueError, RecursionError) as error:
                self.failure = self._not_a_chunk(payload, error)
            else:
                answer.take_rare(delta)
                return delta
        return DeltaMessage()

    def _not_a_chunk(self, payload: bytes, cause: Exception) -> ProtocolError:
        return ProtocolError(f"event {self._events + 1} of the stream is not a chunk: {cause}: {excerpt(payload)}")

    def _answer(self, index: int) -> StreamedAnswer:
        """The answer at an index."""
        if index == 0:
            return self.first
        if self._others is None:
            self._others = {}
        answer = self._others.get(index)
        if answer is None:
            answer = StreamedAnswer(index)
            if len(self._others) < MAX_ANSWERS:
                self._others[index] = answer
            else:
                self.failure = ProtocolError(f"the stream has more than {MAX_ANSWERS} answers")
        return answer


_NO_REASON = frozenset({"null", "None"})  # some gateways write these when there is none yet


def _has_progress(chunk: ChatCompletionStreamResponse | CompletionStreamResponse) -> bool:
    """Whether a chunk adds to the answer; one that only keeps the connection alive does not."""
    return has_text(chunk) or any(
        choice.token_ids or (choice.finish_reason or "null") not in _NO_REASON for choice in chunk.choices
    )


def has_text(chunk: ChatCompletionStreamResponse | CompletionStreamResponse) -> bool:
    """Whether a chunk has text, reasoning, a refusal or calls."""
    for choice in chunk.choices:
        if isinstance(choice, CompletionResponseStreamChoice):
            if choice.text:
                return True
        elif _has_content(choice.delta):
            return True
    return False


def _has_content(delta: DeltaMessage) -> bool:
    return bool(delta.content or delta.thoughts or delta.tool_calls or delta.refusal or delta.function_call is not None)


def _reported(payload: bytes) -> StreamServerError | None:
    """The error that an event reports, or None."""
    kind = payload.event if isinstance(payload, TypedEvent) else None
    try:
        found = reported_error(read_json(payload), only_explicit=kind not in (None, "error"))
    except ValueError:
        found = None  # not even JSON
    return StreamServerError(error_words(excerpt(payload))) if found is None and kind == "error" else found
