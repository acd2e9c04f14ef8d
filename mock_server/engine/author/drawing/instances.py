"""An instance of a JSON schema: valid, small, and the same for the same seed.

Every branch that can end within the depth can be drawn. Where drawing cannot aim at a keyword (`not`, `if`,
`oneOf` …), it draws again until the value satisfies it. The result is checked against the whole schema.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Any, ClassVar

from mock_server.engine.author.drawing import arrays, numbers, objects, strings
from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.checking import Checker
from mock_server.engine.author.drawing.conjunction import Conjunction, Schema, options
from mock_server.engine.author.drawing.endings import Endings
from mock_server.engine.author.drawing.expressions import Expressions
from mock_server.engine.author.drawing.json_values import TYPES, shown, size
from mock_server.engine.author.drawing.problems import TooMuchWorkError, UndrawableError
from mock_server.engine.author.drawing.references import Document

_MAX_DEPTH = 40  # nested arrays and objects
_SPARE_DEPTH = 3  # beyond the required depth
_LEAST_DEPTH = 5
_PLENTY = 120  # values; an instance of this size gets only required parts from then on
_TRIES = 12
_NULL_SHARE = 0.3  # of nullable values
_PARTS_A_STEP = 4
_MOST_CONSTANTS = 500  # tried for one value


class InstanceDrawer:
    """Draws any number of instances of one schema."""

    budget: Budget
    source: random.Random
    # A drawer that held functions of its own would be a cycle, and all that it read would wait for the collector.
    _BY_TYPE: ClassVar[dict[str, Callable[[InstanceDrawer, Conjunction, int, int], Any]]] = {
        "string": lambda self, parts, depth, attempt: strings.draw_string(self, parts, attempt),
        "number": lambda self, parts, depth, attempt: numbers.draw_number(
            parts, self.source, self.budget, integer=False
        ),
        "integer": lambda self, parts, depth, attempt: numbers.draw_number(
            parts, self.source, self.budget, integer=True
        ),
        "boolean": lambda self, parts, depth, attempt: self.source.random() < 0.5,
        "null": lambda self, parts, depth, attempt: None,
        "array": lambda self, parts, depth, attempt: arrays.draw_array(self, parts, depth, attempt),
        "object": lambda self, parts, depth, attempt: objects.draw_object(self, parts, depth, attempt),
    }

    def __init__(self, schema: Any, budget: Budget) -> None:
        """Raises `UndrawableError`."""
        self.budget = budget
        self.document = Document(schema, budget)
        self.endings = Endings(self.document, budget)
        self.expressions = Expressions(budget)
        self.checker = Checker(self.document, self.expressions, budget)
        self.source = random.Random(0)
        self._drawn = 0
        self._path: list[str] = []

    def draw(self, source: random.Random) -> Any:
        """Raises `UndrawableError`."""
        self.source = source
        self._drawn = 0
        self._path.clear()
        root = self.document.root
        least = self.endings.level(root)
        if _MAX_DEPTH < least < inf:
            raise UndrawableError(f"its values must be nested more deeply than {_MAX_DEPTH} levels")
        depth = _LEAST_DEPTH if least == inf else max(_LEAST_DEPTH, int(least) + _SPARE_DEPTH)
        made = self.value([root], depth)
        if not self.checker.is_valid(made, root):
            raise UndrawableError("no instance was found that satisfies the whole schema")
        return made

    @property
    def has_plenty(self) -> bool:
        """The instance is large enough: optional parts should be left out."""
        return self._drawn > _PLENTY

    def child(self, name: str | int, parts: Sequence[Any], depth: int) -> Any:
        """A value inside the current one."""
        self._path.append(str(name))
        try:
            return self.value(parts, depth)
        except UndrawableError as error:
            if error.where is None:
                error.where = ".".join(self._path)
            raise
        finally:
            self._path.pop()

    def value(self, parts: Sequence[Any], depth: int) -> Any:
        """A value that satisfies all `parts`, with at most `depth` levels of nested arrays and objects."""
        if depth < 0:
            raise UndrawableError("it has no finite instance: the schema requires itself inside itself")
        self._drawn += 1
        branches: dict[int, list[Any]] = {}
        problem: UndrawableError | None = None
        attempt = tries = 0
        while attempt <= tries:
            self.budget.step()
            found = self._expand(parts, depth, branches)
            tries = max(_TRIES, *map(len, branches.values())) if branches else _TRIES
            try:
                made = self._value(found, depth, attempt)
            except TooMuchWorkError:
                raise
            except UndrawableError as error:
                problem = problem or error
                if not found.has_choices:
                    break
            else:
                if not found.needs_check or all(self.checker.is_valid(made, part) for part in parts):
                    return made
            attempt += 1
        try:
            raise problem or UndrawableError(
                "no value was found that satisfies all of " + ", ".join(sorted(_keywords(found.parts)))
            )
        finally:
            problem = None  # else it would keep this frame, which keeps it

    def _value(self, parts: Conjunction, depth: int, attempt: int) -> Any:
        if parts.has_constants:
            return self._constant(parts)
        types = parts.types()
        if types is None:
            implied = parts.implied_type()
            if implied is not None and not depth:  # at the deepest level something simpler may do
                parts.has_choices = True
                implied = None if attempt else implied
            wanted = implied or self._any_type(attempt)
        else:
            implied = parts.implied_type()
            wanted = self._chosen_type(types, implied, attempt)
            if len(types) > 1:
                parts.has_choices = True
        return self._BY_TYPE[wanted](self, parts, depth, attempt)

    def _any_type(self, attempt: int) -> str:
        """For a schema without a type: first an object at the root and short values inside it, then any type."""
        if attempt:
            return self.source.choice(TYPES)
        return self.source.choice(("string", "string", "integer", "boolean")) if self._path else "object"

    def _chosen_type(self, types: list[str], implied: str | None, attempt: int) -> str:
        filled = [name for name in types if name != "null"]
        if not filled or ("null" in types and self._takes_null(attempt)):
            return "null"
        if implied in filled and self.source.random() < 0.5:
            return implied
        return self.source.choice(filled)

    def _takes_null(self, attempt: int) -> bool:
        return attempt % 2 == 1 or self.source.random() < _NULL_SHARE

    def _constant(self, parts: Conjunction) -> Any:
        """One of the constants that satisfy all parts."""
        constants = self._constants(parts)
        if not constants:
            raise UndrawableError("no value of enum or const satisfies the other keywords")
        chosen = self.source.choice(constants)
        self.budget.write(size(chosen))
        return chosen

    def _constants(self, parts: Conjunction) -> list[Any]:
        """The constants that satisfy all parts; from a very long list, only those of a random stretch."""
        shortest = min(parts.constant_lists(), key=len)
        if len(shortest) > _MOST_CONSTANTS:
            start = self.source.randrange(len(shortest) - _MOST_CONSTANTS)
            shortest = shortest[start : start + _MOST_CONSTANTS]
        return [value for value in shortest if all(self.checker.is_valid(value, part) for part in parts.parts)]

    def few_values(self, parts: Sequence[Any], depth: int) -> Iterator[Any]:
        """Candidate values for the parts if there are few, over all branches of each choice."""
        branches: dict[int, list[Any]] = {}
        for _ in range(_TRIES):
            found = self._expand(parts, depth, branches)
            if found.has_constants:
                yield from self._constants(found)
            else:
                types = found.types() or []
                yield from (value for value in (True, False) if "boolean" in types)
                yield from (None for _ in types if "null" in types)
                if "integer" in types or "number" in types:
                    yield from numbers.few_integers(found)
            if not found.has_choices:
                return

    def with_part(self, parts: Conjunction, schema: Any, depth: int) -> Conjunction:
        """The parts together with one more schema."""
        found = self._expand([*parts.parts, schema], depth, {})
        return Conjunction(found.parts, has_choices=found.has_choices or parts.has_choices)

    def _expand(self, parts: Sequence[Any], depth: int, branches: dict[int, list[Any]]) -> Conjunction:
        """The parts, the schemas they refer to, and one branch of each choice: the next in `branches` at each call."""
        found: dict[int, Schema] = {}
        waiting = deque(parts)
        has_choices = False
        while waiting:
            schema = waiting.popleft()
            if schema is True:
                continue
            if schema is False:
                raise UndrawableError("the schema is false, which allows no value")
            if not isinstance(schema, dict):
                raise UndrawableError(f"a schema must be an object, true or false (got {shown(schema)})")
            if id(schema) in found:
                continue
            self.budget.step()
            found[id(schema)] = schema
            waiting += self.document.references(schema)
            if schema.get("allOf") is not None:
                waiting += options("allOf", schema["allOf"])
            for keyword in ("anyOf", "oneOf"):
                if schema.get(keyword) is not None:
                    choice = options(keyword, schema[keyword])
                    waiting.append(self._branch(choice, depth, branches))
                    has_choices = has_choices or len(choice) > 1
            if "if" in schema:
                has_choices = True
                waiting += self._condition(schema, branches)
        self.budget.step(len(found) // _PARTS_A_STEP)
        return Conjunction(list(found.values()), has_choices=has_choices)

    def _branch(self, choice: list[Any], depth: int, branches: dict[int, list[Any]]) -> Any:
        """Cycles through the branches that can end, in random order; only the shallowest once there is plenty."""
        order = branches.get(id(choice))
        if order is None:
            self.budget.step(1 + len(choice) // 16)
            levels = [self.endings.level(branch) for branch in choice]
            lowest = min(levels)
            most = lowest if self.has_plenty else max(depth, lowest)
            order = [branch for branch, level in zip(choice, levels, strict=True) if level <= most]
            if lowest == inf:
                del order[1:]  # its error says why
            self.source.shuffle(order)
            if len(order) > 1 and _is_null(order[0]) and self.source.random() >= _NULL_SHARE:
                order.append(order.pop(0))
            branches[id(choice)] = order
        order.append(order.pop(0))
        return order[-1]

    def _condition(self, schema: Schema, branches: dict[int, list[Any]]) -> list[Any]:
        """Either `if` and `then`, or `else`; the result is checked afterwards."""
        ways = branches.get(id(schema))
        if ways is None:
            ways = branches[id(schema)] = [[schema["if"], schema.get("then", True)], [schema.get("else", True)]]
            self.source.shuffle(ways)
        ways.append(ways.pop(0))
        chosen: list[Any] = ways[-1]
        return chosen


def _is_null(schema: Any) -> bool:
    return isinstance(schema, dict) and (
        schema.get("type") in ("null", ["null"]) or ("const" in schema and schema["const"] is None)
    )


def _keywords(parts: Sequence[Schema]) -> set[str]:
    return {keyword for part in parts for keyword in part if not keyword.startswith("$") and keyword != "description"}
