"""One of the answers of a stream, as far as it has arrived, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdk.chunks import DeltaMessage, FunctionPiece
from sdk.tool_calls import PartialCall, ToolCalls, width

if TYPE_CHECKING:
    from sdk.types import Function, ToolCall


_ANSWER_BYTES = 400  # without any text
_LARGE_PIECE = 1024 * 1024


class StreamedAnswer:
    """One of the `n` answers of a stream so far; `index` is the server's number for it."""

    __slots__ = ("_calls", "_function_call", "_refusals", "_thoughts", "begun", "finish_reason", "index", "pieces")

    def __init__(self, index: int) -> None:
        self.index: int = index
        self.finish_reason: str | None = None
        """Why it ended; None until it ends."""
        self.pieces: list[str] = []  # of the text
        self.begun: bool = False  # whether a chunk without text has arrived
        self._thoughts: list[str] | None = None  # most answers have only text
        self._refusals: list[str] | None = None
        self._calls: ToolCalls | None = None
        self._function_call: PartialCall | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return joined(self.pieces)

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return joined(self._thoughts)

    @property
    def refusal(self) -> str:
        """The refusal so far; empty if the model does not refuse."""
        return joined(self._refusals)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls so far, joined from their pieces, in the order in which they began."""
        return [] if self._calls is None else self._calls.whole()

    @property
    def function_call(self) -> Function | None:
        """The function call, in the form that preceded tool calls; None without one."""
        return None if self._function_call is None else self._function_call.function()

    def __repr__(self) -> str:
        state = "open" if self.finish_reason is None else self.finish_reason
        return f"<{type(self).__name__} {self.index} {state}, {len(self.text)} characters>"

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the answer has arrived."""
        return not (self.pieces or self._thoughts or self._refusals or self._calls or self._function_call)

    def compact(self) -> int:
        """Join small pieces, each of which takes a multiple of its length; returns the bytes of the answer then."""
        held = _ANSWER_BYTES
        for parts in (self.pieces, self._thoughts, self._refusals):
            if parts:
                held += compacted(parts)
        if self._calls is not None:
            held += self._calls.compact()
        if self._function_call is not None:
            held += self._function_call.compact()
        return held

    def take(self, delta: DeltaMessage) -> None:
        """Add the reasoning and the tool calls of a delta."""
        if pieces := delta.tool_calls:
            calls = self._calls
            if calls is None:
                calls = self._calls = ToolCalls()
            calls.take(pieces)
        if thoughts := delta.reasoning or delta.reasoning_content:
            if self._thoughts is None:
                self._thoughts = []
            self._thoughts.append(thoughts)

    def take_rare(self, delta: DeltaMessage) -> None:
        """Add what few deltas have: a refusal, or a function call of the older form."""
        if delta.refusal:
            self._refusals = self._refusals or []
            self._refusals.append(delta.refusal)
        if delta.function_call is not None:
            self._take_function_call(delta.function_call)

    def _take_function_call(self, piece: FunctionPiece) -> None:
        self._function_call = self._function_call or PartialCall()
        self._function_call.take(None, None, piece)


def compacted(parts: list[str]) -> int:
    """Join the parts after the large ones at the beginning; returns the bytes that all take as one text."""
    large = 0
    while large < len(parts) and len(parts[large]) >= _LARGE_PIECE:  # copied again only when the text is read
        large += 1
    if len(parts) - large > 1:
        parts[large:] = ["".join(parts[large:])]
    return sum(map(len, parts)) * max(map(width, parts))


def joined(parts: list[str] | None) -> str:
    """The parts as one text. They stay joined, so that the next read copies this text once and no piece of it again."""
    if not parts:
        return ""
    if len(parts) > 1:
        parts[:] = ["".join(parts)]
    return parts[0]
