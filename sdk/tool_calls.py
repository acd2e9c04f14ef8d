"""Assembles tool calls from the pieces in a stream, without I/O: which piece belongs to which call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from sys import getsizeof
from typing import TYPE_CHECKING, Any

from sdk.chunks import FunctionPiece, ToolCallPiece

if TYPE_CHECKING:
    from sdk.types import Function, ToolCall

# The memory of a call and of the keys of a piece, without their texts.
_CALL_BYTES, _KEYS_BYTES = 600, 300
# The header of a text that is not ASCII, without the character that ends it. Not measured with "é": since Python 3.12,
# a Latin-1 character is kept together with its UTF-8.
_HEADER_BYTES = getsizeof(chr(0x100)) - 4
_MAX_COMPARED = 256 * 1024  # parsed arguments may take fifty times the memory of their text
_LONGEST_NAME = 64 * 1024  # pieces of a longer name are dropped: each addition would copy the name
_COUNTED_AT_ONCE = 64 * 1024
_STRUCTURE = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


class ToolCalls:
    """The calls of one answer, in the order in which the server began them.

    The id of a piece decides to which call it belongs, then its index, then the order:

    - A known id belongs to its call, regardless of the index.
    - A new id begins a call, even at an index that is in use, unless the call there has no id yet and takes it. A piece
      that only continues unfinished arguments belongs to them: some servers make up a new id for each piece.
    - Without an id, the index names the call that last began there.
    - With neither, the piece belongs to the latest call.

    A piece that names a function begins a new call if the call it would belong to is complete or has another function.
    A piece that repeats a complete call adds nothing.
    """

    __slots__ = ("_calls", "_events", "_known", "_known_bytes", "_latest")

    def __init__(self) -> None:
        self._calls: list[PartialCall] = []
        self._known: dict[Any, PartialCall] = {}  # by id, by index, and by both
        self._known_bytes = 0
        self._latest: PartialCall | None = None
        self._events = 0

    def take(self, pieces: Iterable[ToolCallPiece]) -> None:
        """Add the pieces of one event."""
        self._events += 1
        for piece in pieces:
            function = piece.function or _NO_FUNCTION
            call = None if piece.id or function.name else self._known.get(piece.index)
            if (
                call is not None  # the common case
                and (arguments := function.arguments)
                and (arguments[0] not in _MAY_BEGIN or not _begins_value(arguments))
            ):
                call.pieces.append(arguments)
                call.event = self._events
                self._latest = call
                continue
            call = self._owner(piece, function)
            if call is None or call.is_left_for(piece, function, self._events):
                opened = PartialCall()
                if not function.name and call is not None and call.was_named_again:
                    opened.name = call.name  # from the piece before, which had no arguments
                self._calls.append(opened)
                call = opened
                if piece.index is not None:
                    self._known[piece.index] = call
            self._remember(call, piece)
            call.take(piece.id, piece.type, function)
            call.event = self._events
            self._latest = call

    def whole(self) -> list[ToolCall]:
        """The calls so far."""
        from sdk.types import ToolCall

        return [ToolCall(id=call.id, type=call.type or "function", function=call.function()) for call in self._calls]

    def compact(self) -> int:
        """Join the pieces of each call; returns the bytes that all calls take."""
        return self._known_bytes + sum(call.compact() for call in self._calls)

    def _owner(self, piece: ToolCallPiece, function: FunctionPiece) -> PartialCall | None:
        """The call that the piece belongs to; None if that call has not begun."""
        if not piece.id:
            return self._latest if piece.index is None else self._at(piece.index, function)
        if piece.index is not None and (call := self._known.get((piece.id, piece.index))) is not None:
            return call
        call = self._known.get(piece.id)
        if call is not None:
            reused = piece.index not in (None, call.index) and piece.index not in self._known
            return None if reused and function.name and function.name != call.name else call
        call = self._latest if piece.index is None else self._at(piece.index, function)
        return call if call is not None and (call.id is None or call.goes_on_with(function)) else None

    def _at(self, index: int, function: FunctionPiece) -> PartialCall | None:
        """The call at an index. Without one there, a piece without a name goes by position, or to the latest call."""
        call = self._known.get(index)
        if call is None and 0 <= index < len(self._calls):
            counted = self._calls[index]
            call = counted if counted.index is None or not function.name else None
        return self._latest if call is None and not function.name else call

    def _remember(self, call: PartialCall, piece: ToolCallPiece) -> None:
        if piece.id:
            if piece.id not in self._known:
                self._known_bytes += len(piece.id) + _KEYS_BYTES
            self._known[piece.id] = call
        if piece.index is not None:
            if call.index is None:
                call.index = piece.index
            self._known.setdefault(piece.index, call)
            if piece.id:
                self._known[piece.id, piece.index] = call


class PartialCall:
    """A function call as far as it has arrived."""

    __slots__ = (
        "_depth",
        "_escape",
        "_is_quoted",
        "_read",
        "event",
        "id",
        "index",
        "name",
        "pieces",
        "type",
        "was_named_again",
    )

    def __init__(self) -> None:
        self.id: str | None = None
        self.index: int | None = None
        self.type: str | None = None
        self.name: str | None = None
        self.event: int = 0  # the event of its last piece
        self.pieces: list[str] = []  # of the arguments
        self._read = 0  # the number of pieces whose brackets are counted
        self._depth = 0
        self._is_quoted = False
        self._escape = ""  # a backslash at the end of the counted text
        self.was_named_again: bool = False  # a name without arguments arrived after its own

    def take(self, id_: str | None, type_: str | None, function: FunctionPiece) -> None:
        """Add a piece to this call."""
        self.id = self.id or id_ or None
        self.type = type_ or self.type
        if name := function.name:
            if self.pieces:
                self.was_named_again = True
            elif name != self.name and len(self.name or "") < _LONGEST_NAME:
                self.name = (self.name or "") + name
            self.name = self.name or name
        if arguments := function.arguments:
            if _begins_value(arguments) and self._is_complete():
                if self._repeats(arguments):
                    return
                if self._is_placeholder():
                    self.pieces.clear()
                    self._read = 0
            self.pieces.append(arguments)

    def is_left_for(self, piece: ToolCallPiece, function: FunctionPiece, event: int) -> bool:
        """Whether a piece that would belong here begins another call instead."""
        name, arguments = function.name, function.arguments or ""
        if not name:
            return _begins_value(arguments) and self._is_complete() and not self._takes_again(arguments)
        if self.name is None:
            return False
        has_its_index = piece.index is not None and piece.index == self.index
        is_sure = piece.id == self.id if piece.id and self.id else has_its_index
        if not is_sure and self.event == event:
            return True  # several whole calls in one event
        if not self.pieces:
            return name != self.name and not is_sure
        if name != self.name:
            return True
        return _begins_value(arguments) and self._is_complete() and not (is_sure and self._takes_again(arguments))

    def goes_on_with(self, function: FunctionPiece) -> bool:
        """Whether a piece under another id can only be the next one of this call."""
        if not function.name:
            return self.name is not None and not self._is_complete()
        arguments = function.arguments or ""
        begins = not arguments or _begins_value(arguments)
        return function.name == self.name and bool(self.pieces) and not begins and not self._is_complete()

    def function(self) -> Function:
        """Its name and arguments so far."""
        from sdk.types import Function

        return Function(name=self.name, arguments=self._text())

    def compact(self) -> int:
        """Join the pieces; returns the bytes that the call takes."""
        text = self._text()
        return _CALL_BYTES + len(text) * width(text) + sum(len(part or "") for part in (self.id, self.name, self.type))

    def _text(self) -> str:
        if len(self.pieces) > 1:
            self._count_brackets()
            self.pieces[:] = ["".join(self.pieces)]
            self._read = 1
        return self.pieces[0] if self.pieces else ""

    def _takes_again(self, arguments: str) -> bool:
        """Whether it accepts arguments although it is complete: the same again, or the first real ones."""
        return self._repeats(arguments) or (self._is_placeholder() and not self.was_named_again)

    def _is_placeholder(self) -> bool:
        """Whether its arguments are the empty object that some servers send before the real ones."""
        return self._text().strip() == "{}"

    def _repeats(self, arguments: str) -> bool:
        """Whether these arguments equal the present ones as JSON."""
        text = self._text()
        if text == arguments:
            return True
        if len(text) + len(arguments) > _MAX_COMPARED:
            return False
        try:
            return bool(json.loads(text) == json.loads(arguments))
        except (ValueError, RecursionError):
            return False

    def _is_complete(self) -> bool:
        """Whether the arguments so far are a whole object or list."""
        self._count_brackets()
        return bool(self.pieces) and self._depth <= 0 and not self._is_quoted

    def _count_brackets(self) -> None:
        """Count the brackets of the pieces that arrived since the last count, so that each is read once."""
        text = "".join(self.pieces[self._read :])
        for start in range(0, len(text), _COUNTED_AT_ONCE):
            self._count(self._escape + text[start : start + _COUNTED_AT_ONCE])
        self._read = len(self.pieces)

    def _count(self, text: str) -> None:
        for mark in _STRUCTURE.findall(text):
            self._escape = ""
            if mark[0] == "\\":
                self._escape = mark if len(mark) == 1 else ""
            elif mark == '"':
                self._is_quoted = not self._is_quoted
            elif not self._is_quoted:
                self._depth += 1 if mark in "{[" else -1


def width(text: str) -> int:
    """The bytes of memory that each character of the text takes."""
    return 1 if text.isascii() else min(4, (getsizeof(text) - _HEADER_BYTES) // (len(text) + 1))


_NO_FUNCTION = FunctionPiece()
_MAY_BEGIN = "{[\n\t\r"  # after a space, a new value does not begin without a name


def _begins_value(arguments: str) -> bool:
    return arguments.lstrip()[:1] in ("{", "[")
