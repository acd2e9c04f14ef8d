"""What the parts that draw arrays, objects and strings ask of the drawing as a whole."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.checking import Checker
from mock_server.engine.author.drawing.conjunction import Conjunction
from mock_server.engine.author.drawing.endings import Endings
from mock_server.engine.author.drawing.expressions import Expressions


class Drawer(Protocol):
    """Draws values for schemas. Every method may raise `UndrawableError`."""

    budget: Budget
    endings: Endings
    expressions: Expressions
    checker: Checker
    source: random.Random

    @property
    def has_plenty(self) -> bool:
        """Whether so much has been drawn that further values should be few."""

    def child(self, name: str | int, parts: Sequence[Any], depth: int) -> Any:
        """A value at a place inside the current one that satisfies all of these schemas."""

    def few_values(self, parts: Sequence[Any], depth: int) -> Iterator[Any]:
        """Candidate values for these schemas if there are few of them."""

    def with_part(self, parts: Conjunction, schema: Any, depth: int) -> Conjunction:
        """The conjunction with one more schema in it."""
