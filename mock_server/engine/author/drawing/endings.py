"""The least nesting depth of each schema's instances. It distinguishes recursions that can end from endless ones.

The least solution of a system of minima (over branches) and maxima (over what is required), found level by level, so
that each schema is settled once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.problems import UndrawableError
from mock_server.engine.author.drawing.references import Document

Schema = Mapping[str, Any]

_NESTED = ("object", "array")
_BY_NAME = frozenset(("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"))
_WITH_SCHEMAS = frozenset((
    "items", "prefixItems", "additionalItems", "additionalProperties", "contains", "if", "then", "else",
    "unevaluatedProperties", "unevaluatedItems",
))  # fmt: skip


_COMBINING = frozenset(("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"))


@dataclass(slots=True, eq=False)
class _Node:
    """`open_needs`: the number of needs without a branch that is known to end."""

    level: float = inf
    open_needs: int = 0
    so_far: float = 0
    needed_by: list[_Need] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Need:
    """One of several branches, which a node requires. `cost` is 1 if the branches are a level deeper."""

    owner: _Node
    cost: int
    is_met: bool = False


class Endings:
    """Covers every schema reachable from the document's root. Levels are lower bounds: `allOf` may need more."""

    def __init__(self, document: Document, budget: Budget) -> None:
        self._document = document
        self._budget = budget
        self._nodes: dict[tuple[int, str], _Node] = {}
        self._unread: list[tuple[Schema, str, _Node]] = []
        self._node(document.root)
        while self._unread:
            self._read(*self._unread.pop())
        self._settle()

    def level(self, schema: Any) -> float:
        """The least depth of nested arrays and objects. Infinite: the schema has no finite instance."""
        if not isinstance(schema, dict):
            return 0
        node = self._nodes.get((id(schema), ""))
        return 0 if node is None else node.level

    def _node(self, schema: Any, part: str = "") -> _Node:
        """`part` restricts the instances to arrays or to objects."""
        key = (id(schema), part)
        node = self._nodes.get(key)
        if node is None:
            self._budget.step()
            node = self._nodes[key] = _Node()
            if isinstance(schema, dict):
                self._unread.append((schema, part, node))
        return node

    def _read(self, schema: Schema, part: str, node: _Node) -> None:
        needs: Iterator[tuple[int, list[Any]]]
        match part:
            case "object":
                needs = _needs_of_object(schema)
            case "array":
                needs = _needs_of_array(schema)
            case _:
                needs = self._needs(schema)
                self._read_optional(schema)
        for cost, branches in needs:
            if any(branch is True for branch in branches):
                continue
            self._budget.step()
            need = _Need(node, cost)
            node.open_needs += 1
            for branch in branches:
                if branch is False:
                    continue
                found = branch if isinstance(branch, _Node) else self._node(branch)
                found.needed_by.append(need)

    def _needs(self, schema: Schema) -> Iterator[tuple[int, list[Any]]]:
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in schema:
                yield 0, self._targets(schema, keyword)
        for part in _schemas(schema.get("allOf")):
            yield 0, [part]
        for keyword in ("anyOf", "oneOf"):
            if branches := _schemas(schema.get(keyword)):
                yield 0, branches
        if "const" in schema or "enum" in schema:
            return
        said = schema.get("type")
        types = [said] if isinstance(said, str) else said
        if isinstance(types, list) and types and all(name in _NESTED for name in types):
            yield 0, [self._node(schema, name) for name in types]

    def _targets(self, schema: Schema, keyword: str) -> list[Any]:
        """Empty if the reference cannot be resolved: a schema that requires it has no instance."""
        try:
            return [self._document.resolve(schema[keyword], schema)]
        except UndrawableError:
            return []

    def _read_optional(self, schema: Schema) -> None:
        """Adds optional parts of instances: they need levels, too."""
        for keyword in schema.keys() & _BY_NAME:
            found = schema[keyword]
            for each in found.values() if isinstance(found, dict) else ():
                self._node(each)
        for keyword in schema.keys() & _WITH_SCHEMAS:
            found = schema[keyword]
            for each in found if isinstance(found, list) else (found,):
                self._node(each)

    def _settle(self) -> None:
        """Settles the lowest levels first. Nodes whose needs are never met stay infinite."""
        due: list[tuple[float, int, _Node]] = []
        for order, node in enumerate(self._nodes.values()):
            if not node.open_needs:
                due.append((0, order, node))
        heapq.heapify(due)
        order = len(self._nodes)
        while due:
            level, _, node = heapq.heappop(due)
            if node.level <= level:
                continue
            self._budget.step()
            node.level = level
            for need in node.needed_by:
                if need.is_met:
                    continue
                need.is_met = True
                owner = need.owner
                owner.open_needs -= 1
                owner.so_far = max(owner.so_far, level + need.cost)
                if not owner.open_needs:
                    order += 1
                    heapq.heappush(due, (owner.so_far, order, owner))


def _needs_of_object(schema: Schema) -> Iterator[tuple[int, list[Any]]]:
    properties, others = schema.get("properties"), schema.get("additionalProperties", _rest(schema, "Properties"))
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        known = isinstance(properties, dict) and isinstance(name, str) and name in properties
        yield 1, [properties[name] if known and isinstance(properties, dict) else _other(schema, others)]


def _other(schema: Schema, others: Any) -> Any:
    return True if "patternProperties" in schema else others


def _needs_of_array(schema: Schema) -> Iterator[tuple[int, list[Any]]]:
    items = schema.get("items", _rest(schema, "Items"))
    firsts: Sequence[Any] = _schemas(schema.get("prefixItems"))
    if isinstance(items, list):  # before draft 2020-12
        firsts, items = items, schema.get("additionalItems", True)
    least = schema.get("minItems")
    if isinstance(least, int) and least > 0:
        for first in firsts[:least]:
            yield 1, [first]
        if least > len(firsts):
            yield 1, [items]
    if "contains" in schema and schema.get("minContains", 1) != 0:
        yield 1, [schema["contains"]]


def _rest(schema: Schema, of: str) -> Any:
    """What `unevaluated…` asks of the rest, unless another schema may have evaluated it."""
    return True if schema.keys() & _COMBINING else schema.get(f"unevaluated{of}", True)


def _schemas(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []
