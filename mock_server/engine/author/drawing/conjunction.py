"""Combines several schemas that one value must satisfy at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mock_server.engine.author.drawing.json_values import TYPES, shown
from mock_server.engine.author.drawing.problems import UndrawableError

Schema = Mapping[str, Any]

_OBJECT_WORDS = ("properties", "required", "additionalProperties", "patternProperties", "propertyNames",
                 "minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "dependencies",
                 "unevaluatedProperties")  # fmt: skip
_ARRAY_WORDS = ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "minContains",
                "additionalItems", "unevaluatedItems")  # fmt: skip
_STRING_WORDS = ("pattern", "minLength", "maxLength", "format", "contentEncoding", "contentMediaType")
_NUMBER_WORDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_BY_WORDS = (
    ("object", _OBJECT_WORDS),
    ("array", _ARRAY_WORDS),
    ("string", _STRING_WORDS),
    ("number", _NUMBER_WORDS),
)
# Drawing does not aim at these keywords, so the value must be checked.
_CHECKED = frozenset((
    "not", "oneOf", "if", "contains", "dependentSchemas", "dependentRequired", "dependencies", "propertyNames",
    "unevaluatedProperties", "unevaluatedItems", "const", "enum",
))  # fmt: skip


class Conjunction:
    """References are resolved, and one branch of each choice is among the parts."""

    __slots__ = ("_said", "has_choices", "parts")

    def __init__(self, parts: Sequence[Schema], *, has_choices: bool) -> None:
        self.parts = parts
        self.has_choices = has_choices
        """Whether another draw could choose other branches."""
        self._said: dict[str, list[Any]] = {}
        for part in parts:
            for keyword, found in part.items():
                if found is not None or keyword == "const":
                    self._said.setdefault(keyword, []).append(found)

    @property
    def needs_check(self) -> bool:
        return not _CHECKED.isdisjoint(self._said)

    def values(self, keyword: str) -> Sequence[Any]:
        """The values of a keyword in all parts. Null counts as absent: some libraries write it for unset keywords."""
        return self._said.get(keyword, ())

    def has(self, keyword: str) -> bool:
        return keyword in self._said

    @property
    def has_constants(self) -> bool:
        return "const" in self._said or "enum" in self._said

    def constant_lists(self) -> Iterator[list[Any]]:
        yield from ([found] for found in self.values("const"))
        yield from (options("enum", found) for found in self.values("enum"))

    def at_least(self, keyword: str) -> int:
        return max(self._counts(keyword), default=0)

    def at_most(self, keyword: str) -> int | None:
        return min(self._counts(keyword), default=None)

    def _counts(self, keyword: str) -> list[int]:
        return [count(keyword, found) for found in self.values(keyword)]

    def types(self) -> list[str] | None:
        """The types that all parts allow, in the order of `TYPES`; None if no part names a type."""
        allowed: set[str] | None = None
        for said in self.values("type"):
            names = _types(said)
            allowed = names if allowed is None else allowed & names
        if allowed is None:
            return None
        if not allowed:
            raise UndrawableError("the schemas that apply here have no type in common")
        if "number" in allowed:  # includes integers
            allowed -= {"integer"}
        return [name for name in TYPES if name in allowed]

    def implied_type(self) -> str | None:
        """The type that the keywords suggest, for a schema without `type`."""
        for name, words in _BY_WORDS:
            if any(word in self._said for word in words):
                return name
        return None


def _types(said: Any) -> set[str]:
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list) or not names or any(name not in TYPES for name in names):
        raise UndrawableError(f"type must be one or more of {', '.join(TYPES)} (got {shown(said)})")
    found = set(names)
    return found | {"integer"} if "number" in found else found


def count(keyword: str, found: Any) -> int:
    """Raises `UndrawableError` for anything but an integer of at least 0."""
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise UndrawableError(f"{keyword} must be an integer of at least 0 (got {shown(found)})")
    return found


def mapping(keyword: str, found: Any) -> Mapping[str, Any]:
    """Raises `UndrawableError` for anything but an object."""
    if not isinstance(found, dict):
        raise UndrawableError(f"{keyword} must be an object (got {shown(found)})")
    return found


def names(keyword: str, found: Any) -> list[str]:
    """Raises `UndrawableError` for anything but a list of strings."""
    if not isinstance(found, list) or any(not isinstance(name, str) for name in found):
        raise UndrawableError(f"{keyword} must be an array of strings (got {shown(found)})")
    return found


def options(keyword: str, found: Any) -> list[Any]:
    """Raises `UndrawableError` for anything but a list that is not empty."""
    if not isinstance(found, list) or not found:
        raise UndrawableError(f"{keyword} must be a non-empty array")
    return found
