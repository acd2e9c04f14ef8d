"""Draws objects: chooses their names, and collects the schemas that each value must satisfy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from mock_server.engine.author.drawing.conjunction import Conjunction, Schema, mapping, names
from mock_server.engine.author.drawing.drawer import Drawer
from mock_server.engine.author.drawing.problems import NoTextError, TooMuchWorkError, UndrawableError
from mock_server.engine.author.drawing.strings import WORDS

# The chance of an optional property, by attempt: `not`, `oneOf` and the like may require fewer of them.
_SHARES = (0.85, 0.85, 0.5, 0.15, 0.0)
_NAMES_A_STEP, _PARTS_A_STEP = 16, 4
_NAMING = frozenset(("properties", "patternProperties", "additionalProperties", "unevaluatedProperties"))
_MOST_NAMES_TRIED = 40
_LONGEST_NAME = 12  # where a pattern leaves the length open
_ABSENT = object()


def draw_object(drawer: Drawer, parts: Conjunction, depth: int, attempt: int) -> dict[str, Any]:
    return _Object(drawer, parts, depth, attempt).draw()


class _Object:
    def __init__(self, drawer: Drawer, parts: Conjunction, depth: int, attempt: int) -> None:
        self._drawer = drawer
        self._source = drawer.source
        self._depth = depth
        self._share = 0.0 if drawer.has_plenty else _SHARES[attempt % len(_SHARES)]
        self._parts = parts
        self._read()

    def _read(self) -> None:
        """Collects what the parts say about names. Called again when parts are added."""
        parts, budget = self._parts, self._drawer.budget
        properties = [mapping("properties", found) for found in parts.values("properties")]
        required = [names("required", found) for found in parts.values("required")]
        budget.step(1 + sum(map(len, [*properties, *required])) // _NAMES_A_STEP)
        self._naming = [part for part in parts.parts if not _NAMING.isdisjoint(part)]
        self._known = dict.fromkeys(name for found in properties for name in found)
        self._required = dict.fromkeys(name for found in required for name in found)
        self._least = parts.at_least("minProperties")
        self._most = parts.at_most("maxProperties")
        if self._most is not None and max(self._least, len(self._required)) > self._most:
            raise UndrawableError(f"maxProperties {self._most} is below the number of required properties")
        self._patterns = dict.fromkeys(
            pattern for found in parts.values("patternProperties") for pattern in mapping("patternProperties", found)
        )

    def draw(self) -> dict[str, Any]:
        chosen = self._chosen_names()
        made: dict[str, Any] = {}
        order = [name for name in self._known if name in chosen] + [name for name in chosen if name not in self._known]
        for name in order:
            self._drawer.budget.write(len(name))
            value = self._value(name)
            if value is not _ABSENT:
                made[name] = value
        if len(made) < self._least:
            raise UndrawableError(f"no object was found with minProperties {self._least}")
        return made

    def _value(self, name: str) -> Any:
        """`_ABSENT` if an optional property has no value."""
        try:
            return self._drawer.child(name, self._schemas_of(name), self._depth - 1)
        except TooMuchWorkError:
            raise
        except UndrawableError:
            if name in self._required:
                raise
            return _ABSENT

    def _chosen_names(self) -> dict[str, None]:
        chosen = dict(self._required)
        optional = [name for name in self._known if name not in chosen and self._may_have(name)]
        for name in optional:
            if self._source.random() < self._share:
                chosen[name] = None
        self._add_dependents(chosen)
        self._drop_some(chosen)
        if len(chosen) < self._least or (self._share and not self._known):
            self._add_more(chosen, [name for name in optional if name not in chosen])
        return chosen

    def _add_dependents(self, chosen: dict[str, None]) -> None:
        """Adds the properties that chosen ones require, and applies dependent schemas."""
        waiting = list(chosen)
        applied: set[int] = set()
        while waiting:
            name = waiting.pop()
            self._drawer.budget.step()
            for dependents in self._dependents(name):
                if isinstance(dependents, list):
                    missing = [other for other in names("dependentRequired", dependents) if other not in chosen]
                elif id(dependents) not in applied:
                    applied.add(id(dependents))
                    self._parts = self._drawer.with_part(self._parts, dependents, self._depth)
                    self._read()
                    missing = [other for other in self._required if other not in chosen]
                else:
                    missing = []
                self._required |= dict.fromkeys(missing)
                chosen |= dict.fromkeys(missing)
                waiting += missing

    def _dependents(self, name: str) -> Iterator[Any]:
        """The lists of names and the schemas that depend on a property."""
        for keyword in ("dependentRequired", "dependentSchemas", "dependencies"):
            for found in self._parts.values(keyword):
                if name in mapping(keyword, found):
                    yield found[name]

    def _drop_some(self, chosen: dict[str, None]) -> None:
        if self._most is None:
            return
        spare = [name for name in chosen if name not in self._required]
        self._source.shuffle(spare)
        while len(chosen) > self._most and spare:
            del chosen[spare.pop()]

    def _add_more(self, chosen: dict[str, None], optional: list[str]) -> None:
        """Adds names up to `minProperties`, and up to two more if the schema describes additional properties."""
        self._source.shuffle(optional)
        wanted = self._least
        if self._share and not self._known and self._has_free_names():
            wanted = max(wanted, len(chosen) + self._source.randint(0, 2))
        if self._most is not None:
            wanted = min(wanted, self._most)
        self._drawer.budget.step(max(0, wanted - len(chosen)))  # before anything is made
        while len(chosen) < wanted and optional:
            chosen[optional.pop()] = None
        tried = 0
        while len(chosen) < wanted:
            tried += 1
            if tried > _MOST_NAMES_TRIED + 2 * wanted:
                if len(chosen) < self._least:
                    raise UndrawableError(f"not enough names were found for minProperties {self._least}")
                return
            name = self._free_name(len(chosen), tried)
            if name not in chosen and self._is_allowed(name) and self._may_have(name):
                chosen[name] = None

    def _has_free_names(self) -> bool:
        keywords = ("additionalProperties", "unevaluatedProperties", "propertyNames")
        said = [found for keyword in keywords for found in self._parts.values(keyword)]
        return bool(self._patterns) or any(isinstance(found, dict) and found for found in said)

    def _free_name(self, number: int, tried: int) -> str:
        name_rules = list(self._parts.values("propertyNames"))
        if self._patterns and (self._source.random() < 0.7 or not self._allows_others()):
            pattern = self._source.choice(list(self._patterns))
            return self._name_for(pattern, tried)
        if name_rules:
            drawn = self._drawer.child("(a name)", [*name_rules, {"type": "string"}], self._depth)
            return str(drawn)
        word = self._source.choice(WORDS)
        return word if number < len(WORDS) // 2 else f"{word}_{number}"

    def _name_for(self, pattern: str, tried: int) -> str:
        """First a short name, then longer ones: most patterns leave the end of a name open."""
        expressions = self._drawer.expressions
        if tried > 1:
            with suppress(NoTextError):
                return expressions.draw(pattern, self._source, least=self._source.randint(1, _LONGEST_NAME))
        return expressions.draw(pattern, self._source)

    def _allows_others(self) -> bool:
        return all(found is not False for found in self._parts.values("additionalProperties"))

    def _is_allowed(self, name: str) -> bool:
        checker = self._drawer.checker
        return all(checker.is_valid(name, rule) for rule in self._parts.values("propertyNames"))

    def _may_have(self, name: str) -> bool:
        """Whether the property can have a value within the depth."""
        level = self._drawer.endings.level
        return all(schema is not False and level(schema) <= self._depth - 1 for schema in self._schemas_of(name)) and (
            not self._parts.has("propertyNames") or self._is_allowed(name)
        )

    def _schemas_of(self, name: str) -> list[Any]:
        """The schemas that apply to the property of this name."""
        self._drawer.budget.step(1 + len(self._naming) // _PARTS_A_STEP)
        found: list[Any] = []
        unevaluated: list[Any] = []
        for part in self._naming:
            own = self._own_schemas(part, name)
            found += own
            if not own and part.get("additionalProperties") is not None:
                found.append(part["additionalProperties"])
            elif not own and part.get("unevaluatedProperties") is not None:
                unevaluated.append(part["unevaluatedProperties"])
        return found or unevaluated

    def _own_schemas(self, part: Schema, name: str) -> list[Any]:
        properties = part.get("properties") or {}
        found = [properties[name]] if name in properties else []
        for pattern, schema in (part.get("patternProperties") or {}).items():
            if self._drawer.expressions.matches(pattern, name):
                found.append(schema)
        return found
