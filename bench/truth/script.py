"""What the truth server writes, and when: a script for each shape of answers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

TOKENS = 48
NATURAL_TOKENS = 20  # more than the bench requests before the load, fewer than in the load
TAIL_MS = 30.0
_BETWEEN = ("littles_law", "concurrency")
TEXT = "月光 "  # three bytes per character, so that one can be cut


class Event(NamedTuple):
    """A token event: how many tokens it carries, and whether they are visible."""

    tokens: int
    visible: bool = True


_Token = tuple[dict[str, object], Event]


class Write(NamedTuple):
    """Bytes that are written in one piece, `after_ms` after the previous ones; they complete these events."""

    after_ms: float
    data: bytes
    events: tuple[Event, ...] = ()


class Order(msgspec.Struct, frozen=True):
    """What a request orders in its field `truth`."""

    shape: str = "one"
    tokens: int = TOKENS
    ttft_ms: float = 0.0
    itl_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Script:
    """An answer. `outcome` is the class that the bench has to find; `cut` ends it by closing the connection."""

    writes: tuple[Write, ...]
    outcome: str = "ok"
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """What a server does besides its answers.

    It closes the connection after each answer and does not say so; it prefills one prompt at a time; it pays no heed to
    the length asked for; the end of the body comes `body_end_ms` after its last event; it refuses what goes beyond
    `most_open` answers at once.
    """

    closes: bool = False
    is_serial: bool = False
    ignores_length: bool = False
    body_end_ms: float = 0.0
    most_open: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A way in which servers answer; `told` is whether usage comes with every event, `usage` whether there is any.

    `innocent` are the checks that must not fail for it: what they find is this server's doing, not the bench's.
    """

    name: str
    about: str
    make: Callable[[Order, Frames], Script]
    told: bool = True
    usage: bool = True
    manner: Manner = Manner()
    innocent: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ("ok",)


class Frames:
    """The events of one answer as bytes of its body; counts the tokens so far."""

    def __init__(self, told: bool, newline: str = "\n", *, has_usage: bool = True) -> None:
        self._told = told and has_usage
        self._has_usage = has_usage
        self._newline = newline
        self.tokens = 0

    def event(self, delta: dict[str, object], tokens: int = 0, finish: str | None = None) -> bytes:
        """One event with its delta, and usage if every event has it."""
        self.tokens += tokens
        chunk: dict[str, object] = {"id": "truth", "object": "chat.completion.chunk", "created": 0, "model": "truth"}
        chunk["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish}]
        if self._told:
            chunk["usage"] = self._usage()
        return self._data(msgspec.json.encode(chunk))

    def end(self) -> bytes:
        """The usage of the whole answer, and the end of the stream."""
        done = self._data(b"[DONE]")
        if not self._has_usage:
            return done
        last = {"id": "truth", "object": "chat.completion.chunk", "created": 0, "model": "truth", "choices": []}
        return self._data(msgspec.json.encode({**last, "usage": self._usage()})) + done

    def error(self) -> bytes:
        """An event that is an error, and the end that servers send after it."""
        body = {"error": {"message": "the engine is gone", "type": "InternalServerError", "code": 500}}
        return self._data(msgspec.json.encode(body)) + self._data(b"[DONE]")

    def comment(self) -> bytes:
        """A comment that keeps the connection alive."""
        return f": keep-alive{self._newline}{self._newline}".encode()

    def _usage(self) -> dict[str, int]:
        return {"prompt_tokens": 1, "completion_tokens": self.tokens, "total_tokens": 1 + self.tokens}

    def _data(self, payload: bytes) -> bytes:
        end = self._newline.encode()
        return b"data: " + payload + end + end


def _paced(order: Order, frames: Frames, deltas: Iterator[_Token]) -> list[Write]:
    """One event per write: the first after the TTFT, the others one ITL apart."""
    writes: list[Write] = []
    for delta, event in deltas:
        after_ms = order.itl_ms if writes else order.ttft_ms
        is_last = frames.tokens + event.tokens == order.tokens
        data = frames.event(delta, event.tokens, "length" if is_last else None)
        writes.append(Write(after_ms, data + (frames.end() if is_last else b""), (event,)))
    return writes


def _texts(order: Order, each: int = 1) -> Iterator[_Token]:
    for _ in range(0, order.tokens, each):
        yield {"content": TEXT * each}, Event(each)


def _one(order: Order, frames: Frames) -> Script:
    return Script(tuple(_paced(order, frames, _texts(order))))


def _several(order: Order, frames: Frames) -> Script:
    return Script(tuple(_paced(order, frames, _texts(order, 3))))


def _role_first(order: Order, frames: Frames) -> Script:
    role = Write(0, frames.event({"role": "assistant", "content": ""}))
    return Script((role, *_paced(order, frames, _texts(order))))


def _empty(order: Order, frames: Frames) -> Script:
    def deltas() -> Iterator[_Token]:
        for number, (delta, event) in enumerate(_texts(order)):
            yield ({"content": ""} if number % 4 == 3 else delta), event

    return Script(tuple(_paced(order, frames, deltas())))


def _reasoning(order: Order, frames: Frames) -> Script:
    def deltas() -> Iterator[_Token]:
        for number in range(order.tokens):
            hidden = number < order.tokens // 2
            yield {"reasoning" if hidden else "content": TEXT}, Event(1, not hidden)

    return Script(tuple(_paced(order, frames, deltas())))


def _tools(order: Order, frames: Frames) -> Script:
    def deltas() -> Iterator[_Token]:
        for _ in range(order.tokens):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": TEXT}}]}, Event(1)

    return Script(tuple(_paced(order, frames, deltas())))


def _split(order: Order, frames: Frames) -> Script:
    """Each event in two writes, cut inside a character; the event arrives with the second."""
    writes: list[Write] = []
    for write in _one(order, frames).writes:
        cut = write.data.index(TEXT.encode()) + 1
        later_ms = min(1.0, write.after_ms / 2)
        writes.append(Write(write.after_ms - later_ms, write.data[:cut]))
        writes.append(Write(later_ms, write.data[cut:], write.events))
    return Script(tuple(writes))


def _coalesced(order: Order, frames: Frames) -> Script:
    """Four events per write."""
    single = _one(order, frames).writes
    groups = [single[at : at + 4] for at in range(0, len(single), 4)]
    return Script(
        tuple(
            Write(group[0].after_ms, b"".join(write.data for write in group), tuple(w.events[0] for w in group))
            for group in groups
        )
    )


def _comments(order: Order, frames: Frames) -> Script:
    """A comment half-way to each event; lines end as the standard also allows."""
    writes: list[Write] = []
    for write in _one(order, frames).writes:
        writes += [Write(write.after_ms / 2, frames.comment()), write._replace(after_ms=write.after_ms / 2)]
    return Script(tuple(writes))


def _stall(order: Order, frames: Frames) -> Script:
    """One gap in the middle is long."""
    writes = list(_one(order, frames).writes)
    middle = len(writes) // 2
    writes[middle] = writes[middle]._replace(after_ms=20 * max(order.itl_ms, 1.0))
    return Script(tuple(writes))


def _silent_usage(order: Order, frames: Frames) -> Script:
    """Two tokens per event, and usage only at the end: ITL is unknown."""
    return Script(tuple(_paced(order, frames, _texts(order, 2))))


def _late_finish(order: Order, frames: Frames) -> Script:
    """The finish reason arrives in a separate event, long after the last token."""
    writes = [
        Write(order.itl_ms if number else order.ttft_ms, frames.event(delta, event.tokens), (event,))
        for number, (delta, event) in enumerate(_texts(order))
    ]
    return Script((*writes, Write(TAIL_MS, frames.event({}, finish="length") + frames.end())))


def _late_usage(order: Order, frames: Frames) -> Script:
    """The usage arrives long after the last token, whose event has the finish reason."""
    writes: list[Write] = []
    for delta, event in _texts(order):
        is_last = frames.tokens + event.tokens == order.tokens
        data = frames.event(delta, event.tokens, "length" if is_last else None)
        writes.append(Write(order.itl_ms if writes else order.ttft_ms, data, (event,)))
    return Script((*writes, Write(TAIL_MS, frames.end())))


def _natural(order: Order, frames: Frames) -> Script:
    """An answer whose length the model decides."""
    writes: list[Write] = []
    for number in range(NATURAL_TOKENS):
        is_last = number == NATURAL_TOKENS - 1
        data = frames.event({"content": TEXT}, 1, "stop" if is_last else None) + (frames.end() if is_last else b"")
        writes.append(Write(order.itl_ms if writes else order.ttft_ms, data, (Event(1),)))
    return Script(tuple(writes))


def _half(order: Order, frames: Frames) -> list[Write]:
    return list(_one(order, frames).writes[: order.tokens // 2])


def _error(order: Order, frames: Frames) -> Script:
    return Script((*_half(order, frames), Write(order.itl_ms, frames.error())), "stream_error")


def _cut(order: Order, frames: Frames) -> Script:
    return Script(tuple(_half(order, frames)), "truncated", cut=True)


def _short(order: Order, frames: Frames) -> Script:
    """An answer that ends regularly, but too early."""
    short = Order(order.shape, order.tokens // 2, order.ttft_ms, order.itl_ms)
    return Script(_one(short, frames).writes, "length_mismatch")


def _garbled(order: Order, frames: Frames) -> Script:
    return Script((*_half(order, frames), Write(order.itl_ms, b'data: {"choices": [{"delta"\n\n')), "protocol")


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("one", "a token an event", _one),
        Shape("several", "three tokens an event", _several),
        Shape("unknown", "two tokens an event, usage at the end", _silent_usage, told=False),
        Shape("role", "an event with only a role first", _role_first),
        Shape("empty", "every fourth text empty", _empty),
        Shape("reasoning", "reasoning, then content", _reasoning),
        Shape("tools", "tool calls", _tools),
        Shape("split", "events in two writes, cut in a character", _split),
        Shape("coalesced", "four events a write", _coalesced),
        Shape("comments", "comments between events, CRLF", _comments),
        Shape("stall", "a long gap in the middle", _stall),
        Shape("chunks", "three tokens an event, no usage", _several, told=False, usage=False),
        Shape("late-finish", "finish reason 30 ms after the end", _late_finish, innocent=_BETWEEN),
        Shape("late-usage", "usage 30 ms after the last token", _late_usage, innocent=_BETWEEN),
        Shape("late-close", "body ends 1 s after [DONE]", _one, manner=Manner(body_end_ms=1000), innocent=_BETWEEN),
        Shape("closing", "connections closed after each answer", _one, manner=Manner(closes=True), innocent=_BETWEEN),
        Shape("natural", "a length of its own, whatever is asked", _natural, manner=Manner(ignores_length=True)),
        Shape("serial", "one prompt prefilled at a time", _one, manner=Manner(is_serial=True), innocent=_BETWEEN),
        Shape(
            "refusing",
            "a quarter of the streams refused",
            _one,
            manner=Manner(most_open=24),
            innocent=_BETWEEN,
            outcomes=("ok", "http_429"),
        ),
        Shape("error", "an error event half-way", _error, outcomes=("stream_error",)),
        Shape("cut", "a connection cut half-way", _cut, outcomes=("truncated",)),
        Shape("short", "half the length asked for", _short, outcomes=("length_mismatch",)),
        Shape("garbled", "an event that is not JSON", _garbled, outcomes=("protocol",)),
    )
}


def make_script(order: Order) -> Script:
    """The answer to an order. Raises KeyError for an unknown shape."""
    shape = SHAPES[order.shape]
    newline = "\r\n" if order.shape == "comments" else "\n"
    return shape.make(order, Frames(shape.told, newline, has_usage=shape.usage))
