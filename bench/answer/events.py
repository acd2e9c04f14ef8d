"""The events of a stream, decoded in part: which carry tokens, what the usage is, how the stream ended.

Pure: payloads and their arrival stamps go in. The rules are those of docs/metrics.md, "Token events".
"""

from __future__ import annotations

from array import array
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from bench.answer.chunk_shape import ChunkShape, learn_shape
from bench.answer.odd_fields import MOST_COUNT, mend
from bench.records.moments import (
    DOUBT_SHIFT,
    KIND_SHIFT,
    MOST_TOKENS,
    REQUEST_SHIFT,
    UNKNOWN_TOKENS,
    Kind,
    doubt_code,
)
from bench.target import event_error_message

DONE = b"[DONE]"


Form = TypeVar("Form")


Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_COUNT)]


class PromptDetails(msgspec.Struct, gc=False):
    """The part of the prompt that the server took from its cache."""

    cached_tokens: Count | None = None


class Usage(msgspec.Struct, gc=False):
    """The server's own count of tokens so far."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: PromptDetails | None = None


class _Delta(msgspec.Struct, gc=False):
    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None
    logprobs: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode

# Plain integers: reading an attribute of an enumeration costs more than the rest of `take`.
_VISIBLE, _HIDDEN, _EMPTY = int(Kind.VISIBLE), int(Kind.HIDDEN), int(Kind.EMPTY)


def _carried(choice: _Choice) -> int | None:
    """The kind of token event; None if the content alone does not make it one."""
    delta = choice.delta
    if delta is None:
        text = choice.text
        if text:
            return _VISIBLE
        silent = None if text is None else _EMPTY
    else:
        if delta.content or delta.tool_calls:
            return _VISIBLE
        if delta.reasoning or delta.reasoning_content:
            return _HIDDEN
        if delta.refusal or delta.function_call:
            return _VISIBLE
        silent = None if delta.content is None or delta.role is not None else _EMPTY
    if choice.token_ids or _lists_tokens(choice.logprobs):
        return _HIDDEN
    return silent


def _lists_tokens(logprobs: Any) -> bool:
    """Whether a `logprobs` object names any token (`content` in chat, `tokens` in completions)."""
    return isinstance(logprobs, dict) and bool(logprobs.get("content") or logprobs.get("tokens"))


# How often in a row the shape of chunks is learned without success: it costs as much as parsing several.
_LESSONS = 3

# Characters of an error and of a finish reason: each stream may keep one for as long as it is open.
_MOST_WORDS, MOST_REASON = 8192, 1024


class ChunkError(ValueError):
    """An event that is not a chunk: not JSON, not an object, or with a field of another type."""


def read_odd(payload: bytes, kind: type[Form], error: Exception) -> Form:
    """Read a payload whose fields have unexpected types. Raises ChunkError, which quotes `error`."""
    try:
        return msgspec.convert(mend(payload), kind)
    except (ValueError, RecursionError):
        raise ChunkError(f"{error}: {payload[:80].decode('utf-8', 'replace')}") from None


Arrival = tuple[int, int]
"""A stamp, and how much earlier the event may have arrived (both ns)."""


class TokenEvents(NamedTuple):
    """The token events of a whole stream.

    `tokens` says how many tokens each carried: "one" each, "told" by the usage that came with it, or None where nothing
    tells. `dropped` is the number of empty ones that carried nothing after all; they are not in the other figures.
    """

    events: int
    tokens: Literal["one", "told"] | None
    first_tokens: int | None
    empty: int
    dropped: int
    first: Arrival | None
    last: Arrival | None
    continuous_usage: bool


class Reading:
    """Accumulates one stream, and adds a row to `rows` for each token event.

    `events` counts token events, `empty` those among them whose text was empty. `first_ns` and `last_ns` are their
    bounds, with the doubt of each; `visible_ns` is the first with content or a tool call. `error` is what the first
    error event says.
    """

    __slots__ = (
        "_base",
        "_full_first",
        "_full_last",
        "_is_continuous",
        "_is_single",
        "_last_kind",
        "_lessons_left",
        "_rows",
        "_shape",
        "_tokens",
        "done_ns",
        "empty",
        "error",
        "events",
        "finish_reason",
        "first_doubt_ns",
        "first_ns",
        "first_tokens",
        "last_doubt_ns",
        "last_ns",
        "usage",
        "visible_ns",
    )

    def __init__(self, request: int, rows: array[int]) -> None:
        self._base = request << REQUEST_SHIFT
        self._rows = rows
        self.events = 0
        self.empty = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.first_doubt_ns = self.last_doubt_ns = 0
        self.visible_ns: int | None = None
        self._full_first: Arrival = (0, 0)  # of the events with text
        self._full_last: Arrival = (0, 0)  # used while the last event is an empty one
        self._last_kind = _EMPTY
        self._shape: ChunkShape | None = None
        self._lessons_left = _LESSONS
        self.first_tokens = -1
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.done_ns: int | None = None
        self.error: str | None = None
        self._tokens = 0
        self._is_continuous = True  # until a token event has no usage
        self._is_single = True  # until an event is known to carry more or fewer tokens than one

    def take(self, payload: bytes, arrived_ns: int, doubt_ns: int = 0) -> int:
        """Account for the data of one event. Returns the tokens it carried (1 if their number is not known yet).

        Raises ChunkError.
        """
        if payload == DONE:
            self.done_ns = arrived_ns
            return 0
        if self.done_ns is not None:
            return 0  # nothing after [DONE] is part of the answer
        try:
            chunk = _decode(payload)
        except (ValueError, RecursionError) as error:
            chunk = read_odd(payload, _Chunk, error)
        usage = chunk.usage
        grown = -1 if usage is None else self._grow(usage)
        if chunk.error or (chunk.choices is None and usage is None):
            self.take_error(payload)
            return 0
        if not chunk.choices:
            return 0
        choice = chunk.choices[0]
        if choice.finish_reason:  # some servers send an empty one until the last
            self.finish_reason = choice.finish_reason[:MOST_REASON]
        carried = _carried(choice)
        if grown <= 0 and (carried is None or (carried == _EMPTY and grown == 0)):
            return 0
        self._note(_EMPTY if carried is None else carried, grown, arrived_ns, doubt_ns)
        if self._shape is not None:
            self._shape.tokens = self._tokens
        return grown if grown > 0 else 1

    def learn_shape(self, piece: bytes) -> ChunkShape | None:
        """The shape of the piece whose event was taken last; None if it has no such shape.

        The shape accounts for the pieces it takes; `add_plain` adds them here before the next event.
        """
        if self._last_kind == _EMPTY or self.finish_reason is not None or self._lessons_left == 0:
            return None
        self._lessons_left -= 1
        told = self.completion_tokens if self._is_continuous else None
        shape = learn_shape(piece, told)
        if shape is None or not self._means_a_token(shape, told):
            return None
        shape.rows, shape.tokens = self._rows, self._tokens
        shape.word = self._base | self._last_kind << KIND_SHIFT | (UNKNOWN_TOKENS if told is None else 1)
        self._shape = shape
        return shape

    def _means_a_token(self, shape: ChunkShape, told: int | None) -> bool:
        """Whether chunks of a shape hold only text of the same kind as the last event, and one more token."""
        tokens = 0 if told is None else told + 1
        usage = None if self.usage is None or told is None else replace(self.usage, completion_tokens=tokens)
        kinds = []
        for text in (b"x", b""):
            try:
                chunk = _decode(shape.example(text, tokens))
            except (ValueError, RecursionError):
                return False
            if chunk.error is not None or not chunk.choices or chunk.choices[0].finish_reason:
                return False
            if chunk.usage != usage:
                return False
            kinds.append(_carried(chunk.choices[0]))
        return kinds[0] == self._last_kind and kinds[1] in (None, _EMPTY)

    def stop_plain(self) -> None:
        """Make sure that the next event is parsed."""
        if self._shape is not None:
            self._shape.retire()

    def add_plain(self) -> int:
        """Add the plain chunks taken since the last event, before the next event. Returns how many there were."""
        shape = self._shape
        taken = 0 if shape is None else shape.events
        if shape is not None and taken:
            self.events += taken
            self.last_ns, self.last_doubt_ns = shape.last_ns, shape.last_doubt_ns
            self._lessons_left = _LESSONS
            shape.events = 0
            if self._is_continuous and self.usage is not None:
                self._tokens = self.usage.completion_tokens = shape.tokens
        return taken

    def _note(self, kind: int, grown: int, arrived_ns: int, doubt_ns: int) -> None:
        """Account for one token event."""
        if grown < 0:
            self._is_continuous = False
        elif grown != 1:
            self._is_single = False
        if kind == _EMPTY:
            if self._last_kind != _EMPTY and self.last_ns is not None:
                self._full_last = self.last_ns, self.last_doubt_ns
            self.empty += 1
        else:
            if self.events == self.empty:
                self._full_first = arrived_ns, doubt_ns
            if kind == _VISIBLE and self.visible_ns is None:
                self.visible_ns = arrived_ns
        self._last_kind = kind
        if self.events == 0:
            self.first_ns, self.first_doubt_ns, self.first_tokens = arrived_ns, doubt_ns, grown
        self.events += 1
        self.last_ns, self.last_doubt_ns = arrived_ns, doubt_ns
        word = self._base | kind << KIND_SHIFT | (min(grown, MOST_TOKENS) if grown >= 0 else UNKNOWN_TOKENS)
        if doubt_ns:
            word |= doubt_code(doubt_ns) << DOUBT_SHIFT
        self._rows.append(arrived_ns)
        self._rows.append(word)

    def _grow(self, usage: Usage) -> int:
        """How much the usage has grown since the last event; -1 if that is unknown."""
        self.usage = usage
        if not self._is_continuous or usage.completion_tokens is None:
            return -1
        grown = usage.completion_tokens - self._tokens
        self._tokens = usage.completion_tokens
        return grown

    def drop_empty_usage(self) -> None:
        """Treat a usage of 0 as no usage if there was text: some servers send zeros for counts they do not have."""
        if self.completion_tokens == 0 and self.events > self.empty and self.usage is not None:
            self.usage.completion_tokens = None
            self.usage.prompt_tokens = self.usage.prompt_tokens or None
            self._is_continuous = False

    def take_error(self, payload: bytes) -> None:
        """Account for an event that is an error by its type or its form."""
        if self.error is None:
            try:
                said = event_error_message(msgspec.json.decode(payload))
            except (ValueError, RecursionError):
                said = event_error_message({"error": payload[:_MOST_WORDS].decode("utf-8", "replace")})
            self.error = said[:_MOST_WORDS]

    @property
    def plain_events(self) -> int:
        """The plain chunks that were taken but not added yet."""
        return 0 if self._shape is None else self._shape.events

    @property
    def completion_tokens(self) -> int | None:
        """The tokens of the answer by the server's usage; None if there is no usage."""
        return None if self.usage is None else self.usage.completion_tokens

    def token_events(self) -> TokenEvents:
        """The token events of the whole stream, after its end.

        Tokens per event are known where usage came with every event, or where the final usage equals the number of
        events. Where it equals the number of events with text, the empty ones carried nothing and are none.
        """
        total, events, empty = self.completion_tokens, self.events, self.empty
        first = None if self.first_ns is None else (self.first_ns, self.first_doubt_ns)
        last = None if self.last_ns is None else (self.last_ns, self.last_doubt_ns)
        is_continuous = events > 0 and self._is_continuous
        if is_continuous and not self._is_single:
            return TokenEvents(events, "told", self.first_tokens, empty, 0, first, last, True)
        if is_continuous or (events and total == events):
            return TokenEvents(events, "one", 1, empty, 0, first, last, is_continuous)
        if empty and total == events - empty:
            first, last = (self._full_first, self._last_full()) if total else (None, None)
            return TokenEvents(events - empty, "one" if total else None, 1, 0, empty, first, last, False)
        return TokenEvents(events, None, None, empty, 0, first, last, False)

    def _last_full(self) -> Arrival:
        """The last event with text."""
        if self._last_kind == _EMPTY or self.last_ns is None:
            return self._full_last
        return self.last_ns, self.last_doubt_ns
