"""The regular expressions of one schema or request, each read once."""

from __future__ import annotations

import random
from typing import Any

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.json_values import shown
from mock_server.engine.author.drawing.looks_ahead import required_pieces, with_pieces
from mock_server.engine.author.drawing.problems import NoTextError, UndrawableError
from mock_server.engine.author.drawing.regex_drawing import RegexDrawer
from mock_server.engine.author.drawing.regex_matching import is_found, is_whole
from mock_server.engine.author.drawing.regex_nodes import (
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
from mock_server.engine.author.drawing.regex_syntax import parse

_TRIES = 60
_LENGTHS_TRIED = 300  # above the least length
_MOST_TARGETED = 20_000
_ANYTHING = Repeat(Characters(((0x61, 0x7A),)), 0, None)


class Expressions:
    """Raises `UndrawableError` for an expression that is invalid or unsupported, or if it finds no match."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._nodes: dict[str, Node] = {}
        self._drawers: dict[str, RegexDrawer] = {}
        self._pieces: dict[str, list[RegexDrawer]] = {}
        self._drawn: set[tuple[Any, str]] = set()
        """Text drawn for patterns with back references, which cannot be checked."""

    def matches(self, pattern: Any, text: str) -> bool:
        """Whether the expression matches anywhere in the text."""
        if (pattern, text) in self._drawn:
            return True
        return is_found(self._node(pattern), text, self._budget)

    def draw(
        self, pattern: Any, source: random.Random, *, whole: bool = False, least: int = 0, most: int | None = None
    ) -> str:
        """Text of a length between `least` and `most` that matches. `whole`: all of it must match."""
        node = self._node(pattern)
        drawer = self._drawer(pattern, node)
        pieces = self._pieces_of(pattern, node)
        refers_back = _has_any(node, BackReference)  # then only chance finds a text of a given length
        for number in range(_TRIES):
            text = drawer.draw(source) if refers_back or number < _TRIES // 4 else None
            if refers_back and not _fits(text or "", least, most) and number < _TRIES - 1:
                self._budget.step(4)
                continue
            if text is None or not _fits(text, least, most):
                text = self._of_length(node, drawer, source, least, most, whole=whole)
            if text is not None and pieces and number % 2:
                text = with_pieces(text, pieces, source)
            if text is not None and self._is_match(node, text, whole=whole):
                if refers_back:
                    self._drawn.add((pattern, text))
                return text
            if text is None:
                break
            self._budget.step(4)
        lengths = "" if not least and most is None else f" and has {_between(least, most)} characters"
        raise NoTextError(f"found no text that matches the pattern {shown(pattern)}{lengths}")

    def _of_length(
        self, node: Node, drawer: RegexDrawer, source: random.Random, least: int, most: int | None, *, whole: bool
    ) -> str | None:
        """None if no match has such a length."""
        if least > _MOST_TARGETED:
            self._budget.check_room(least)
        highest = least + _LENGTHS_TRIED if most is None else min(most, least + _LENGTHS_TRIED)
        text = drawer.draw_between(source, least, highest) if highest >= least else None
        if text is None and not whole and not (_begins(node) and _ends(node)):  # around the match, any text will do
            padded = Sequence((_ANYTHING, node) if _ends(node) else (node, _ANYTHING))
            text = RegexDrawer(padded, self._budget).draw_between(source, least, highest)
        return text

    def _is_match(self, node: Node, text: str, *, whole: bool) -> bool:
        if _has_any(node, BackReference):
            if _has_any(node, Look) or not _borders_are_outside(node):
                raise UndrawableError("the simulated engine does not support back references with look-arounds")
            return True  # drawing ensures this
        return (is_whole if whole else is_found)(node, text, self._budget)

    def _node(self, pattern: Any) -> Node:
        if not isinstance(pattern, str):
            raise UndrawableError(f"a pattern must be a string (got {shown(pattern)})")
        found = self._nodes.get(pattern)
        if found is None:
            found = self._nodes[pattern] = parse(pattern, self._budget)
        return found

    def _drawer(self, pattern: str, node: Node) -> RegexDrawer:
        found = self._drawers.get(pattern)
        if found is None:
            found = self._drawers[pattern] = RegexDrawer(node, self._budget, widely=_has_any(node, Look))
        return found

    def _pieces_of(self, pattern: str, node: Node) -> list[RegexDrawer]:
        found = self._pieces.get(pattern)
        if found is None:
            found = self._pieces[pattern] = required_pieces(node, self._budget)
        return found


def _fits(text: str, least: int, most: int | None) -> bool:
    return least <= len(text) and (most is None or len(text) <= most)


def _between(least: int, most: int | None) -> str:
    return f"at least {least:,}" if most is None else f"{least:,} to {most:,}"


def _has_any(node: Node, kind: type) -> bool:
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if isinstance(found, kind):
            return True
        waiting += _children(found)
    return False


def _children(node: Node) -> tuple[Node, ...]:
    match node:
        case Sequence(parts):
            return parts
        case Choice(branches):
            return branches
        case Repeat(part) | Group(part) | Look(part):
            return (part,)
    return ()


def _begins(node: Node) -> bool:
    """Whether the expression is anchored at the start."""
    first = node.parts[0] if isinstance(node, Sequence) and node.parts else node
    return isinstance(first, Border) and first.kind == "start"


def _ends(node: Node) -> bool:
    """Whether the expression is anchored at the end."""
    last = node.parts[-1] if isinstance(node, Sequence) and node.parts else node
    return isinstance(last, Border) and last.kind == "end"


def _borders_are_outside(node: Node) -> bool:
    """Whether all anchors are at the very start and end of the expression."""
    parts = list(node.parts) if isinstance(node, Sequence) else [node]
    if parts and isinstance(parts[0], Border) and parts[0].kind == "start":
        parts.pop(0)
    if parts and isinstance(parts[-1], Border) and parts[-1].kind == "end":
        parts.pop()
    return not any(_has_any(part, Border) for part in parts)
