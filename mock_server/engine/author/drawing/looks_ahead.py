"""Positive look-aheads such as those of password rules: `^(?=.*[A-Z])(?=.*[0-9]).{8,}$`."""

from __future__ import annotations

import random
from collections.abc import Sequence

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.regex_drawing import RegexDrawer
from mock_server.engine.author.drawing.regex_nodes import Characters, Look, Node, Repeat
from mock_server.engine.author.drawing.regex_nodes import Sequence as SequenceNode


def required_pieces(node: Node, budget: Budget) -> list[RegexDrawer]:
    """Drawers for the text that the look-aheads require somewhere after them."""
    parts = node.parts if isinstance(node, SequenceNode) else (node,)
    looks = [part for part in parts if isinstance(part, Look) and not part.negated and not part.behind]
    return [RegexDrawer(_without_skipping(look.part), budget, widely=True) for look in looks]


def with_pieces(text: str, pieces: Sequence[RegexDrawer], source: random.Random) -> str:
    """The text with a draw of each piece written over a part of it, if they fit."""
    drawn = [piece.draw(source) for piece in pieces]
    kept = len(text) - sum(map(len, drawn))
    if kept < 0:
        return text
    order: list[str | None] = [*drawn, *[None] * kept]
    source.shuffle(order)
    made: list[str] = []
    at = 0
    for piece in order:
        made.append(text[at] if piece is None else piece)
        at += len(made[-1])
    return "".join(made)


def _without_skipping(node: Node) -> Node:
    """The look-ahead without its leading `.*`."""
    if isinstance(node, SequenceNode) and node.parts and _skips(node.parts[0]):
        return SequenceNode(node.parts[1:])
    return node


def _skips(node: Node) -> bool:
    return isinstance(node, Repeat) and isinstance(node.part, Characters) and not node.least
