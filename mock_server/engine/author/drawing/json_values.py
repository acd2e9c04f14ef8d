"""JSON values as JSON Schema compares and classifies them: 1 equals 1.0, true is not 1, 2.0 is an integer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

_MOST_SHOWN = 100
_MOST_BITS_SHOWN = 256

TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")


def is_of_type(value: Any, name: str) -> bool:
    match value:
        case bool():
            return name == "boolean"
        case None:
            return name == "null"
        case str():
            return name == "string"
        case int():
            return name in ("integer", "number")
        case float():
            return name == "number" or (name == "integer" and value.is_integer())
        case list():
            return name == "array"
        case _:
            return name == "object" and isinstance(value, dict)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def identity(value: Any) -> Hashable:
    """Equal for two values exactly when JSON Schema calls them equal."""
    if isinstance(value, list):
        return ("array", tuple(map(identity, value)))
    if isinstance(value, dict):
        return ("object", frozenset((name, identity(item)) for name, item in value.items()))
    return ("boolean", value) if isinstance(value, bool) else value


def size(value: Any) -> int:
    """The number of values and characters in a value, including itself; used to count work."""
    count, rest = 0, [value]
    while rest:
        found = rest.pop()
        count += 1
        if isinstance(found, list):
            rest += found
        elif isinstance(found, dict):
            rest += found.values()
            rest += found
        elif isinstance(found, str):
            count += len(found)
    return count


def shown(value: Any) -> str:
    """A short form of any value, for error messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Mapping():
            return "an object"
        case list():
            return "an array"
        case int() if value.bit_length() > _MOST_BITS_SHOWN:
            return "a very large number"
        case str():
            text = value if len(value) <= _MOST_SHOWN else value[: _MOST_SHOWN - 1] + "…"
            return f"'{text}'" if text.isprintable() else repr(text)
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"
