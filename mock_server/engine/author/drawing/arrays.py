"""Draws arrays: chooses their length, and collects the schemas that each item must satisfy."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from mock_server.engine.author.drawing.conjunction import Conjunction, Schema
from mock_server.engine.author.drawing.drawer import Drawer
from mock_server.engine.author.drawing.json_values import identity
from mock_server.engine.author.drawing.problems import TooMuchWorkError, UndrawableError

_SPREAD = 2  # optional items at most
_DRAWS_FOR_ONE = 8


def draw_array(drawer: Drawer, parts: Conjunction, depth: int, attempt: int) -> list[Any]:
    return _Array(drawer, parts, depth, attempt).draw()


class _Array:
    def __init__(self, drawer: Drawer, parts: Conjunction, depth: int, attempt: int) -> None:
        self._drawer = drawer
        self._parts = parts
        self._depth = depth
        self._is_short = drawer.has_plenty or attempt % 3 == 2
        self._is_unique = any(found is True for found in parts.values("uniqueItems"))
        self._contained = [
            (part["contains"], _number(part, "minContains", 1))
            for part in parts.parts
            if part.get("contains") is not None
        ]

    def draw(self) -> list[Any]:
        least, most = self._parts.at_least("minItems"), self._parts.at_most("maxItems")
        if most is not None and most < least:
            raise UndrawableError(f"minItems {least} is above maxItems {most}")
        for _, number in self._contained:
            least = max(least, number)
        if most is not None and most < least:
            raise UndrawableError(f"maxItems {most} is below minContains")
        self._drawer.budget.step(least)  # before anything is made
        wanted = self._length(least, most)
        made: list[Any] = []
        taken: set[Hashable] = set()
        owed = [schema for schema, number in self._contained for _ in range(number)]
        while len(made) < wanted:
            place = len(made)
            schemas = self._schemas_at(place, owed.pop() if owed and place >= wanted - len(owed) else None)
            try:
                item = self._item(place, schemas, taken)
            except TooMuchWorkError:
                raise
            except UndrawableError:
                if place >= least and not owed:
                    break
                raise
            made.append(item)
        return made

    def _length(self, least: int, most: int | None) -> int:
        """The number of items: the least number, plus one or two if the schema allows more."""
        usual = max([least, *(len(_firsts_and_rest(part)[0]) for part in self._parts.parts)])
        if not self._is_short and self._parts.has("items"):
            usual += self._drawer.source.randint(0 if usual or self._drawer.source.random() < 0.2 else 1, _SPREAD)
        wanted = least if self._is_short else usual if most is None else min(usual, most)
        reachable = least
        while reachable < wanted and self._can_end(reachable):
            reachable += 1
        return reachable

    def _can_end(self, place: int) -> bool:
        level = self._drawer.endings.level
        return all(schema is not False and level(schema) <= self._depth - 1 for schema in self._schemas_at(place))

    def _schemas_at(self, place: int, contained: Any = None) -> list[Any]:
        """The schemas that apply to the item, which is to satisfy a `contains`, too, if it is given."""
        found, unevaluated = [] if contained is None else [contained], []
        for part in self._parts.parts:
            firsts, rest = _firsts_and_rest(part)
            if place < len(firsts):
                found.append(firsts[place])
            elif rest is not None:
                found.append(rest)
            elif part.get("unevaluatedItems") is not None:
                unevaluated.append(part["unevaluatedItems"])
        return found or unevaluated

    def _item(self, place: int, schemas: list[Any], taken: set[Hashable]) -> Any:
        if not self._is_unique:
            return self._drawer.child(place, schemas, self._depth - 1)
        for _ in range(_DRAWS_FOR_ONE):
            item = self._drawer.child(place, schemas, self._depth - 1)
            if (key := identity(item)) not in taken:
                taken.add(key)
                return item
        for item in self._drawer.few_values(schemas, self._depth - 1):
            self._drawer.budget.step()
            if (key := identity(item)) not in taken:
                taken.add(key)
                return item
        raise UndrawableError(f"the items must be unique, but only {len(taken)} different ones were found")


def _firsts_and_rest(part: Schema) -> tuple[list[Any], Any]:
    """The schemas of the first items, and the schema of the rest (None: unrestricted)."""
    firsts, rest = part.get("prefixItems"), part.get("items")
    if isinstance(rest, list):  # before draft 2020-12
        firsts, rest = rest, part.get("additionalItems")
    firsts = firsts if isinstance(firsts, list) else []
    return firsts, rest


def _number(part: Schema, keyword: str, default: int) -> int:
    found = part.get(keyword, default)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else default
