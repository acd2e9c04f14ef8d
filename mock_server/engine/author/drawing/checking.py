"""Validates a value against a schema within a budget: JSON Schema 2020-12 and the older drafts' forms.

Like most validators by default, it does not check `format`. It ignores unknown keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, ClassVar

from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.conjunction import Schema, count, mapping, names, options
from mock_server.engine.author.drawing.expressions import Expressions
from mock_server.engine.author.drawing.json_values import identity, is_number, is_of_type, shown, size
from mock_server.engine.author.drawing.numbers import is_multiple
from mock_server.engine.author.drawing.problems import UndrawableError
from mock_server.engine.author.drawing.references import Document

_VALUES_A_STEP = 8
_Rule = Callable[["Checker", Any, Any, Schema], bool]
_ObjectRule = Callable[["Checker", Mapping[str, Any], Any, Schema], bool]


def _type(checker: Checker, value: Any, said: Any, schema: Schema) -> bool:
    return any(is_of_type(value, name) for name in ([said] if isinstance(said, str) else options("type", said)))


def _bounds(checker: Checker, value: Any, said: Any, schema: Schema) -> bool:
    """Checks all bounds at once. In draft 4, `exclusiveMinimum: true` makes `minimum` exclusive."""
    if not is_number(value):
        return True
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if is_number(low) and (value < low or (above is True and value == low)):
        return False
    if is_number(high) and (value > high or (below is True and value == high)):
        return False
    return not (is_number(above) and value <= above) and not (is_number(below) and value >= below)


class Checker:
    """Checks against schemas of one document. Raises `UndrawableError` for a schema that is not valid."""

    def __init__(self, document: Document, expressions: Expressions, budget: Budget) -> None:
        self._document = document
        self._expressions = expressions
        self._budget = budget
        self._found: dict[tuple[int, int], bool | None] = {}
        """Results of the current check, by identity of schema and value. None: still being checked."""
        self._depth = 0
        self._enums: dict[int, frozenset[Hashable]] = {}

    def is_valid(self, value: Any, schema: Any) -> bool:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise UndrawableError(f"a schema must be an object, true or false (got {shown(schema)})")
        here = (id(schema), id(value))
        if here in self._found:
            known = self._found[here]
            if known is None:
                raise UndrawableError("it has no finite instance: a schema refers to itself")
            return known
        self._budget.step()
        self._found[here] = None
        self._depth += 1
        try:
            found = self._found[here] = all(
                self._holds(keyword, said, value, schema) for keyword, said in schema.items()
            )
        finally:
            self._depth -= 1
            if not self._depth:
                self._found.clear()
        return found

    def _holds(self, keyword: str, said: Any, value: Any, schema: Schema) -> bool:
        if said is None and keyword != "const":
            return True
        if (rule := self._RULES.get(keyword)) is not None:
            return rule(self, value, said, schema)
        if isinstance(value, dict) and (rule := self._OBJECT_RULES.get(keyword)) is not None:
            return rule(self, value, said, schema)
        return True

    def _one_of(self, value: Any, said: Any, schema: Schema) -> bool:
        return sum(self.is_valid(value, part) for part in options("oneOf", said)) == 1

    def _if(self, value: Any, said: Any, schema: Schema) -> bool:
        return self.is_valid(value, schema.get("then" if self.is_valid(value, said) else "else", True))

    def _enum(self, value: Any, said: Any, schema: Schema) -> bool:
        known = self._enums.get(id(said))
        if known is None:
            listed = options("enum", said)
            self._budget.step(len(listed) // _VALUES_A_STEP)
            known = self._enums[id(said)] = frozenset(map(identity, listed))
        return identity(value) in known

    def _items(self, value: Any, said: Any, schema: Schema) -> bool:
        """Checks `prefixItems`, `items` and `additionalItems` together."""
        if not isinstance(value, list):
            return True
        firsts, rest = _by_place(schema)
        return all(
            self.is_valid(item, firsts[place] if place < len(firsts) else rest) for place, item in enumerate(value)
        )

    def _contains(self, value: Any, said: Any, schema: Schema) -> bool:
        if not isinstance(value, list):
            return True
        found = sum(self.is_valid(item, said) for item in value)
        least, most = schema.get("minContains", 1), schema.get("maxContains")
        return found >= count("minContains", least) and (most is None or found <= count("maxContains", most))

    def _unique_items(self, value: Any, said: Any, schema: Schema) -> bool:
        if not isinstance(value, list) or said is not True:
            return True
        self._budget.step(size(value) // _VALUES_A_STEP)
        return len(set(map(identity, value))) == len(value)

    def _properties(self, value: Mapping[str, Any], said: Any, schema: Schema) -> bool:
        """Checks `properties`, `patternProperties` and `additionalProperties` together."""
        for name, item in value.items():
            known = list(self._by_name(schema, name))
            others = [schema["additionalProperties"]] if schema.get("additionalProperties") is not None else []
            if not all(self.is_valid(item, rule) for rule in known or others):
                return False
        return True

    def _by_name(self, schema: Schema, name: str) -> Iterator[Any]:
        properties = mapping("properties", schema.get("properties") or {})
        if name in properties:
            yield properties[name]
        for pattern, rule in mapping("patternProperties", schema.get("patternProperties") or {}).items():
            if self._expressions.matches(pattern, name):
                yield rule

    def _dependents(self, value: Mapping[str, Any], said: Any, schema: Schema) -> bool:
        for name, rule in mapping("dependentSchemas", said).items():
            if name not in value:
                continue
            if isinstance(rule, list):
                if not all(other in value for other in names("dependentRequired", rule)):
                    return False
            elif not self.is_valid(value, rule):
                return False
        return True

    def _unevaluated_properties(self, value: Mapping[str, Any], said: Any, schema: Schema) -> bool:
        known: set[Any] = set()
        for applied in self._applied(value, schema):
            if applied.get("additionalProperties") is not None or (
                applied is not schema and applied.get("unevaluatedProperties") is not None
            ):
                return True
            known |= {name for name in value if any(True for _ in self._by_name(applied, name))}
        return all(self.is_valid(value[name], said) for name in value if name not in known)

    def _unevaluated_items(self, value: Any, said: Any, schema: Schema) -> bool:
        if not isinstance(value, list):
            return True
        known = 0
        contained: set[int] = set()
        for applied in self._applied(value, schema):
            firsts, _ = _by_place(applied)
            has_rest = (
                applied.get("additionalItems") if isinstance(applied.get("items"), list) else applied.get("items")
            )
            if has_rest is not None or (applied is not schema and applied.get("unevaluatedItems") is not None):
                return True
            known = max(known, len(firsts))
            if applied.get("contains") is not None:
                contained |= {place for place, item in enumerate(value) if self.is_valid(item, applied["contains"])}
        return all(
            self.is_valid(item, said) for place, item in enumerate(value) if place >= known and place not in contained
        )

    def _applied(self, value: Any, schema: Schema) -> Iterator[Schema]:
        """The schema, and every subschema that it applies to the same value."""
        seen: set[int] = set()
        waiting: list[Any] = [schema]
        while waiting:
            found = waiting.pop()
            if not isinstance(found, dict) or id(found) in seen:
                continue
            seen.add(id(found))
            self._budget.step()
            yield found
            waiting += [self._document.resolve(found[word], found) for word in ("$ref", "$dynamicRef") if word in found]
            waiting += found.get("allOf") or []
            branches = [*(found.get("anyOf") or []), *(found.get("oneOf") or [])]
            if isinstance(value, dict):
                dependents = [found.get(word) or {} for word in ("dependentSchemas", "dependencies")]
                branches += [rule for rules in dependents for name, rule in rules.items() if name in value]
            waiting += [branch for branch in branches if isinstance(branch, dict) and self.is_valid(value, branch)]
            if "if" in found:
                holds = self.is_valid(value, found["if"])
                waiting += [found["if"], found.get("then")] if holds else [found.get("else")]

    # A checker that held functions of its own would be a cycle, and all its expressions would wait for the collector.
    _RULES: ClassVar[dict[str, _Rule]] = {
        "$ref": lambda self, value, said, schema: self.is_valid(value, self._document.resolve(said, schema)),
        "$dynamicRef": lambda self, value, said, schema: self.is_valid(value, self._document.resolve(said, schema)),
        "$recursiveRef": lambda self, value, said, schema: self.is_valid(value, self._document.root),
        "allOf": lambda self, value, said, schema: all(self.is_valid(value, part) for part in options("allOf", said)),
        "anyOf": lambda self, value, said, schema: any(self.is_valid(value, part) for part in options("anyOf", said)),
        "oneOf": _one_of,
        "not": lambda self, value, said, schema: not self.is_valid(value, said),
        "if": _if,
        "type": _type,
        "enum": _enum,
        "const": lambda self, value, said, schema: identity(value) == identity(said),
    }
    _RULES |= dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _bounds)
    _RULES["multipleOf"] = lambda self, value, said, schema: not is_number(value) or is_multiple(value, said)
    _RULES |= {
        "minLength": lambda self, value, said, schema: (
            not isinstance(value, str) or len(value) >= count("minLength", said)
        ),
        "maxLength": lambda self, value, said, schema: (
            not isinstance(value, str) or len(value) <= count("maxLength", said)
        ),
        "pattern": lambda self, value, said, schema: (
            not isinstance(value, str) or self._expressions.matches(said, value)
        ),
    }
    _RULES |= {
        "items": _items,
        "prefixItems": lambda self, value, said, schema: _has(schema, "items") or self._items(value, said, schema),
        "contains": _contains,
        "minItems": lambda self, value, said, schema: (
            not isinstance(value, list) or len(value) >= count("minItems", said)
        ),
        "maxItems": lambda self, value, said, schema: (
            not isinstance(value, list) or len(value) <= count("maxItems", said)
        ),
        "uniqueItems": _unique_items,
        "unevaluatedItems": _unevaluated_items,
    }
    _OBJECT_RULES: ClassVar[dict[str, _ObjectRule]] = {
        "properties": _properties,
        "patternProperties": lambda self, value, said, schema: (
            _has(schema, "properties") or self._properties(value, said, schema)
        ),
        "additionalProperties": lambda self, value, said, schema: (
            _has(schema, "properties", "patternProperties") or self._properties(value, said, schema)
        ),
        "propertyNames": lambda self, value, said, schema: all(self.is_valid(name, said) for name in value),
        "required": lambda self, value, said, schema: all(name in value for name in names("required", said)),
        "minProperties": lambda self, value, said, schema: len(value) >= count("minProperties", said),
        "maxProperties": lambda self, value, said, schema: len(value) <= count("maxProperties", said),
        "dependentRequired": _dependents,
        "dependentSchemas": _dependents,
        "dependencies": _dependents,
        "unevaluatedProperties": _unevaluated_properties,
    }


def _has(schema: Schema, *keywords: str) -> bool:
    return any(schema.get(keyword) is not None for keyword in keywords)


def _by_place(schema: Schema) -> tuple[list[Any], Any]:
    firsts, rest = schema.get("prefixItems"), schema.get("items")
    if isinstance(rest, list):  # before draft 2020-12
        firsts, rest = rest, schema.get("additionalItems")
    return (firsts if isinstance(firsts, list) else []), True if rest is None else rest
