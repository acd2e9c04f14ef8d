"""The shape that the plain chunks of one stream share, so that most of them need no parsing. Pure.

Servers send thousands of chunks that differ only in their text, and in usage that counts up. Such a chunk, framing and
all, is its stream's head, a text, and a tail that is known beforehand. What does not fit to the last byte is parsed.
"""

from __future__ import annotations

import re
from array import array

from bench.records.moments import DOUBT_SHIFT, doubt_code

_EVENT = b"data: "
_NOTHING = b"\0"  # no piece ends with it
PIECE_END = b"\n\n\r\n"  # the end of the event, and of the HTTP chunk around it
# What precedes the text of a chunk, in the forms that servers write.
_OPENING = re.compile(rb'"(?:content|text|reasoning|reasoning_content)": ?"')
_COUNTS = re.compile(rb'"(completion_tokens|total_tokens)": ?(\d+)')


class ChunkShape:
    """Takes the plain chunks of one stream, noting a row for each in `rows`. Made by `learn_shape`.

    `events` counts those taken, `last_ns` and `last_doubt_ns` are of the last one; whoever accounts for the stream
    reads and resets them. `tokens` is how many tokens there were so far.
    """

    __slots__ = (
        "_before",
        "_counts",
        "_heads",
        "_tail",
        "_upper",
        "events",
        "last_doubt_ns",
        "last_ns",
        "rows",
        "tokens",
        "word",
    )

    def __init__(self, before: bytes, tail: bytes, counts: tuple[int, ...], upper: bool) -> None:
        self._before = _EVENT + before
        self._tail = tail + PIECE_END
        self._counts = counts  # what to add to the completion tokens, for each number in the tail
        self._upper = upper
        self._heads: dict[int, bytes] = {}  # by the length of the piece, which is part of its head
        self.rows = array("q")
        self.word = 0
        self.tokens = 0
        self.events = 0
        self.last_ns = 0
        self.last_doubt_ns = 0

    def example(self, text: bytes, tokens: int) -> bytes:
        """The payload of such a chunk, so that its meaning can be checked."""
        return self._before[len(_EVENT) :] + text + self._tail_at(tokens)[: -len(PIECE_END)]

    def take(self, piece: bytes, arrived_ns: int, doubt_ns: int = 0) -> bool:
        """Account for a piece of the response if it is a chunk with some text and, if usage is sent, one more token."""
        length = len(piece)
        head = self._heads.get(length) or self._head(length)
        tokens = self.tokens + 1
        tail = self._tail if not self._counts else self._tail_at(tokens)
        if not (piece.startswith(head) and piece.endswith(tail)):
            return False
        try:
            text = piece[len(head) : length - len(tail)].decode()
        except UnicodeDecodeError:
            return False
        # A quote would end the text and a backslash escape; JSON forbids control characters, which are not printable.
        if not text or not text.isprintable() or '"' in text or "\\" in text:
            return False
        self.tokens = tokens
        self.events += 1
        self.last_ns, self.last_doubt_ns = arrived_ns, doubt_ns
        self.rows.append(arrived_ns)
        self.rows.append(self.word if not doubt_ns else self.word | doubt_code(doubt_ns) << DOUBT_SHIFT)
        return True

    def retire(self) -> None:
        """Stop matching, so that every later event is parsed."""
        self._tail, self._counts = _NOTHING, ()

    def _tail_at(self, tokens: int) -> bytes:
        if not self._counts:
            return self._tail
        return self._tail % tuple([tokens + add for add in self._counts])

    def _head(self, length: int) -> bytes:
        """The beginning of a piece of this length: the size of its HTTP chunk, and all that precedes the text."""
        head = b""
        for digits in range(1, 9):
            size = b"%x" % max(length - digits - 4, 0)
            if len(size) == digits:
                head = (size.upper() if self._upper else size) + b"\r\n" + self._before
                break
        self._heads[length] = head or b"\0"  # no piece of this length can have the shape
        return self._heads[length]


def learn_shape(piece: bytes, completion_tokens: int | None) -> ChunkShape | None:
    """The shape of a piece whose usage is `completion_tokens` (None for no usage); None if the piece has no text.

    It is a guess: what `example` means has to be looked at.
    """
    size, line_end, chunk = piece.partition(b"\r\n")
    if not line_end or not chunk.startswith(_EVENT) or not chunk.endswith(PIECE_END):
        return None
    try:
        if int(size, 16) != len(chunk) - 2 or size.lower() != b"%x" % int(size, 16):
            return None
    except ValueError:
        return None
    payload = chunk[len(_EVENT) : -len(PIECE_END)]
    opening = _OPENING.search(payload)
    closing = -1 if opening is None else payload.find(b'"', opening.end())
    if opening is None or closing <= opening.end() or b"\\" in payload[opening.end() : closing]:
        return None
    tail, counts = _counting_tail(payload[closing:], completion_tokens)
    return ChunkShape(payload[: opening.end()], tail, counts, size != size.lower())


def _counting_tail(tail: bytes, completion_tokens: int | None) -> tuple[bytes, tuple[int, ...]]:
    """The tail as a format for its counts, and what each adds to the completion tokens; unchanged without usage."""
    if completion_tokens is None:
        return tail, ()
    parts: list[bytes] = []
    counts: list[int] = []
    at = 0
    for found in _COUNTS.finditer(tail):
        parts.append(tail[at : found.start(2)].replace(b"%", b"%%"))
        counts.append(int(found[2]) - completion_tokens)
        at = found.end(2)
    if not counts:
        return tail, ()
    return b"%d".join([*parts, tail[at:].replace(b"%", b"%%")]), tuple(counts)
