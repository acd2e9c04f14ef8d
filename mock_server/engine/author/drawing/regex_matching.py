"""Matches expressions by following all paths simultaneously, so that no expression is slow.

A set of positions is an integer used as a bit set. Each node maps the positions where it starts to those where it ends.
"""

from __future__ import annotations

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.problems import UndrawableError
from mock_server.engine.author.drawing.regex_nodes import (
    WORD,
    BackReference,
    Border,
    Characters,
    Choice,
    Group,
    Look,
    Node,
    Repeat,
    Sequence,
)

_BITS_A_STEP = 4_096
_WORD = Characters(WORD)


def is_found(node: Node, text: str, budget: Budget) -> bool:
    """Whether the expression matches anywhere in the text. Raises `UndrawableError` for back references."""
    everywhere = (1 << (len(text) + 1)) - 1
    return _Text(text, budget).ends(node, everywhere) != 0


def is_whole(node: Node, text: str, budget: Budget) -> bool:
    """Whether the expression matches the whole text."""
    return bool(_Text(text, budget).ends(node, 1) >> len(text) & 1)


class _Text:
    def __init__(self, text: str, budget: Budget) -> None:
        self._text = text
        self._budget = budget
        self._cost = 1 + len(text) // _BITS_A_STEP
        self._everywhere = (1 << (len(text) + 1)) - 1
        self._distinct = set(text)
        self._places: dict[int, int] = {}

    def ends(self, node: Node, starts: int, *, backwards: bool = False) -> int:
        """The ends of the matches that start at `starts`; backwards, the starts of the matches that end there."""
        if not starts:
            return 0
        self._budget.step(self._cost)
        match node:
            case Characters():
                places = self._places_of(node)
                return (starts >> 1) & places if backwards else (starts & places) << 1
            case Sequence(parts):
                for part in reversed(parts) if backwards else parts:
                    starts = self.ends(part, starts, backwards=backwards)
                return starts
            case Choice(branches):
                found = 0
                for branch in branches:
                    found |= self.ends(branch, starts, backwards=backwards)
                return found
            case Repeat():
                return self._repeated(node, starts, backwards=backwards)
            case Group(part):
                return self.ends(part, starts, backwards=backwards)
            case Border():
                return starts & self._borders(node)
            case Look(part, negated, behind):
                places = self.ends(part, self._everywhere, backwards=not behind)
                return starts & ~places if negated else starts & places
            case BackReference():
                raise UndrawableError(
                    "the simulated engine cannot check a text against a pattern with a back reference"
                )

    def _repeated(self, node: Repeat, starts: int, *, backwards: bool) -> int:
        reached = starts
        for _ in range(node.least):
            before, reached = reached, self.ends(node.part, reached, backwards=backwards)
            if reached == before or not reached:
                break
        if isinstance(node.part, Characters) and node.most is None and not backwards:
            places = self._places_of(node.part)
            return (((reached & places) + places) ^ places) | reached  # the carry runs to the end of each run
        border = reached
        left = node.most - node.least if node.most is not None else -1
        while border and left:
            border = self.ends(node.part, border, backwards=backwards) & ~reached
            reached |= border
            left -= 1
        return reached

    def _places_of(self, node: Characters) -> int:
        """The positions of the characters in the set."""
        found = self._places.get(id(node))
        if found is None:
            self._budget.step(1 + len(self._distinct) // 8 + len(self._text) // 512)
            table = {ord(character): "01"[node.contains(character)] for character in self._distinct}
            bits = self._text.translate(table)[::-1]
            found = self._places[id(node)] = int(bits, 2) if bits else 0
        return found

    def _borders(self, node: Border) -> int:
        end = 1 << len(self._text)
        match node.kind:
            case "start":
                return 1
            case "end":
                return end
            case "line start" | "line end":
                line_ends = self._places_of(_LINE_END)
                return line_ends | end if node.kind == "line end" else (line_ends << 1) | 1
        if not self._text:  # Python before 3.14 has no \B in an empty text; other dialects do
            return 0
        words = self._places_of(_WORD)
        borders = (words ^ (words << 1)) & self._everywhere
        return borders if node.kind == "word" else self._everywhere & ~borders


_LINE_END = Characters(((0x0A, 0x0A),))
