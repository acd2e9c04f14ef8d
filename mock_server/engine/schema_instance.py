"""An instance of a JSON schema: small, valid, and the same for the same seed.

What it cannot be sure to satisfy it refuses by name, so that an answer is never wrong in silence.
"""

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from .regex_text import UnsupportedRegexError, text_matching

Schema = Mapping[str, Any]

_TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
_MAX_DEPTH = 64
_MAX_DRAWS = 50
_WORDS = ("amber", "harbour", "meadow", "lantern", "river", "granite", "orchid", "willow", "copper", "summit")
_FORMATS = {
    "date": "2024-05-17",
    "time": "09:30:00Z",
    "date-time": "2024-05-17T09:30:00Z",
    "duration": "P1D",
    "email": "ann@example.org",
    "idn-email": "ann@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uri-reference": "/page",
    "uuid": "6f1c0a3e-2b5d-4c8f-9a7e-1d2c3b4a5f60",
}
_BY_TYPE = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "additionalItems"),
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties", "propertyNames",
               "patternProperties"),
}  # fmt: skip
_GENERAL = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "nullable")
_WORDS_ABOUT = ("$schema", "$id", "$defs", "definitions", "$comment", "$anchor", "title", "description", "default",
                "examples", "deprecated", "readOnly", "writeOnly", "discriminator", "strict")  # fmt: skip
_KNOWN = {*_GENERAL, *_WORDS_ABOUT, *(keyword for keywords in _BY_TYPE.values() for keyword in keywords)}


class UnsupportedSchemaError(ValueError):
    """The schema is not valid, has no instance that is easily found, or says something that is not known here."""


def instance(schema: Schema | bool, source: random.Random) -> Any:
    """Raises `UnsupportedSchemaError`."""
    return _Maker(schema, source).make(schema, 0)


class _Maker:
    def __init__(self, root: Schema | bool, source: random.Random) -> None:
        self._root = root
        self._source = source
        self._makers: dict[str, Callable[[Schema, int], Any]] = {
            "string": self._string,
            "number": self._number,
            "integer": self._integer,
            "boolean": lambda schema, depth: self._source.random() < 0.5,
            "null": lambda schema, depth: None,
            "array": self._array,
            "object": self._object,
        }

    def make(self, schema: Schema | bool, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise UnsupportedSchemaError("the schema has no end: it needs itself inside itself")
        if isinstance(schema, bool):
            if not schema:
                raise UnsupportedSchemaError("the schema false allows nothing")
            return {}
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._source.choice(_list(schema, "enum"))
        return self._makers[self._type(schema, depth)](schema, depth + 1)

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """With references followed, one branch of each choice taken, and all conjunctions in one."""
        if not isinstance(schema, Mapping):
            raise UnsupportedSchemaError(f"a schema must be an object (got {type(schema).__name__})")
        merged = dict(schema)
        for _ in range(_MAX_DEPTH):
            unknown = [keyword for keyword in merged if keyword not in _KNOWN and not keyword.startswith("x-")]
            if unknown:
                raise UnsupportedSchemaError(f"the simulated engine does not know the keyword {unknown[0]!r}")
            if "$ref" in merged:
                merged = _merge(_without(merged, "$ref"), self._referred(merged["$ref"]))
            elif "allOf" in merged:
                parts = _list(merged, "allOf")
                merged = _without(merged, "allOf")
                for part in parts:
                    merged = _merge(merged, part)
            elif (choice := next((name for name in ("anyOf", "oneOf") if name in merged), None)) is not None:
                branches = _list(merged, choice)
                merged = _merge(_without(merged, choice), self._shallowest(branches))
            else:
                return merged
        raise UnsupportedSchemaError("the schema has no end: it refers to itself")

    def _shallowest(self, branches: list[Any]) -> Any:
        """Any branch, but one that refers to something only where all do: recursion must end."""
        plain = [branch for branch in branches if "$ref" not in str(branch)]
        return self._source.choice(plain or branches)

    def _referred(self, reference: Any) -> Any:
        if reference == "#":
            return self._root
        if not (isinstance(reference, str) and reference.startswith("#/")):
            raise UnsupportedSchemaError(f"the reference {reference!r} leads outside of the schema")
        found: Any = self._root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise UnsupportedSchemaError(f"the reference {reference!r} leads nowhere")
            found = found[name]
        return found

    def _type(self, schema: Schema, depth: int) -> str:
        said = schema.get("type")
        types = [said] if isinstance(said, str) else said
        if types is None:
            return next((name for name, words in _BY_TYPE.items() if any(word in schema for word in words)), "object")
        if not isinstance(types, list) or not types or any(name not in _TYPES for name in types):
            raise UnsupportedSchemaError(f"the type {said!r} is none of {', '.join(_TYPES)}")
        filled = [name for name in types if name != "null"] or types
        return str(self._source.choice(filled))

    def _string(self, schema: Schema, depth: int) -> str:
        least, most = _count(schema, "minLength"), _count(schema, "maxLength", None)
        if most is not None and most < least:
            raise UnsupportedSchemaError(f"minLength {least} is above maxLength {most}")
        for _ in range(_MAX_DRAWS):
            text = self._text(schema)
            if "pattern" not in schema and "format" not in schema:
                while len(text) < least:
                    text += " " + self._source.choice(_WORDS)
                text = text[:most]
            if least <= len(text) and (most is None or len(text) <= most):
                return text
        raise UnsupportedSchemaError("no string was found that fits the pattern or format and the lengths")

    def _text(self, schema: Schema) -> str:
        if "pattern" in schema:
            try:
                return text_matching(schema["pattern"], self._source, whole=False)
            except UnsupportedRegexError as exc:
                raise UnsupportedSchemaError(str(exc)) from None
        if "format" in schema:
            found = _FORMATS.get(schema["format"])
            if found is None:
                raise UnsupportedSchemaError(f"the simulated engine does not know the format {schema['format']!r}")
            return found
        return self._source.choice(_WORDS)

    def _integer(self, schema: Schema, depth: int) -> int:
        low, high = self._bounds(schema)
        step = max(1, math.ceil(float(schema.get("multipleOf", 1))))
        if float(schema.get("multipleOf", 1)) not in (step, 1.0):
            raise UnsupportedSchemaError("the simulated engine makes integers that are multiples of integers only")
        first, last = math.ceil(low / step), math.floor(high / step)
        if last < first:
            raise UnsupportedSchemaError(f"there is no integer between {low} and {high}")
        return step * self._source.randint(first, last)

    def _number(self, schema: Schema, depth: int) -> float:
        low, high = self._bounds(schema, integer=False)
        if "multipleOf" in schema or low == high:
            return self._integer(schema, depth) if low != high else low
        middle = round(low + (high - low) * self._source.uniform(0.25, 0.75), 2)
        return middle if low <= middle <= high else (low + high) / 2

    def _bounds(self, schema: Schema, *, integer: bool = True) -> tuple[float, float]:
        """Both included; an exclusive bound moves inwards by one, or for numbers by a little."""
        for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
            if name in schema and (isinstance(schema[name], bool) or not isinstance(schema[name], (int, float))):
                raise UnsupportedSchemaError(f"{name} must be a number (got {schema[name]!r})")
        nudge = 1.0 if integer else 1e-6
        lows = [schema[name] for name in ("minimum",) if name in schema]
        lows += [_above(schema[name], nudge) for name in ("exclusiveMinimum",) if name in schema]
        highs = [schema[name] for name in ("maximum",) if name in schema]
        highs += [-_above(-schema[name], nudge) for name in ("exclusiveMaximum",) if name in schema]
        low = max(lows) if lows else None
        high = min(highs) if highs else None
        if low is None:
            low = 1 if high is None or high > 1 else high - 100
        if high is None:
            high = low + 100 * max(1, math.ceil(schema.get("multipleOf", 1)))
        if low > high:
            raise UnsupportedSchemaError(f"no number is at least {low} and at most {high}")
        return low, high

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        firsts = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        if isinstance(rest, list):  # the form before 2020
            firsts, rest = rest, schema.get("additionalItems", True)
        least, most = _count(schema, "minItems"), _count(schema, "maxItems", None)
        wanted = max(least, len(firsts), 0 if rest is False or "items" not in schema else 1)
        wanted = wanted if most is None else min(wanted, most)
        if wanted < least:
            raise UnsupportedSchemaError(f"minItems {least} is above maxItems {most}")
        made: list[Any] = []
        draws = 0
        while len(made) < wanted:
            item = self.make(firsts[len(made)] if len(made) < len(firsts) else rest, depth)
            draws += 1
            if draws > _MAX_DRAWS + wanted:
                raise UnsupportedSchemaError("no array was found whose items are unique")
            if not (schema.get("uniqueItems") and item in made):
                made.append(item)
        return made

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        for keyword in ("patternProperties", "propertyNames"):
            if keyword in schema:
                raise UnsupportedSchemaError(f"the simulated engine does not know the keyword {keyword!r}")
        properties = schema.get("properties", {})
        if not isinstance(properties, Mapping):
            raise UnsupportedSchemaError("properties must be an object")
        required = schema.get("required", [])
        if not isinstance(required, list):
            raise UnsupportedSchemaError("required must be an array")
        others = schema.get("additionalProperties", True)
        made: dict[str, Any] = {}
        for name in [*properties, *(name for name in required if name not in properties)]:
            if name in required or depth <= 2:
                made[name] = self.make(properties.get(name, others), depth)
        number = 0
        while len(made) < _count(schema, "minProperties"):
            made[f"extra_{number}"] = self.make(others, depth)
            number += 1
        most = _count(schema, "maxProperties", None)
        for name in [name for name in made if name not in required]:
            if most is not None and len(made) > most:
                del made[name]
        if most is not None and len(made) > most:
            raise UnsupportedSchemaError(f"maxProperties {most} is below what is required")
        return made


def _above(bound: float, nudge: float) -> float:
    return math.floor(bound) + 1 if nudge == 1.0 else bound + max(nudge, abs(bound) * nudge)


def _without(schema: Schema, keyword: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != keyword}


def _list(schema: Schema, keyword: str) -> list[Any]:
    found = schema[keyword]
    if not isinstance(found, list) or not found:
        raise UnsupportedSchemaError(f"{keyword} must be an array that is not empty")
    return found


def _count(schema: Schema, keyword: str, default: Any = 0) -> Any:
    found = schema.get(keyword, default)
    if found is not default and (isinstance(found, bool) or not isinstance(found, int) or found < 0):
        raise UnsupportedSchemaError(f"{keyword} must be an integer of at least 0 (got {found!r})")
    return found


_TIGHTER: dict[str, Callable[[Any, Any], Any]] = {
    "minimum": max, "exclusiveMinimum": max, "minLength": max, "minItems": max, "minProperties": max,
    "maximum": min, "exclusiveMaximum": min, "maxLength": min, "maxItems": min, "maxProperties": min,
}  # fmt: skip


def _merge(one: Schema, other: Any) -> dict[str, Any]:
    """What satisfies both. Raises `UnsupportedSchemaError` for what cannot be said in one schema."""
    if other is True:
        return dict(one)
    if not isinstance(other, Mapping):
        raise UnsupportedSchemaError(f"a schema must be an object (got {other!r})")
    merged = dict(one)
    for name, value in other.items():
        if name not in merged or merged[name] == value or name in _WORDS_ABOUT:
            merged[name] = value
        elif name == "properties":
            both = {key: _merge(merged[name][key], value[key]) for key in value if key in merged[name]}
            merged[name] = {**merged[name], **value, **both}
        elif name == "required":
            merged[name] = list(dict.fromkeys([*merged[name], *value]))
        elif name == "enum":
            merged[name] = [item for item in merged[name] if item in value]
        elif name in _TIGHTER:
            merged[name] = _TIGHTER[name](merged[name], value)
        elif name == "additionalProperties" and False in (merged[name], value):
            merged[name] = False
        else:
            raise UnsupportedSchemaError(f"the simulated engine cannot satisfy two {name!r} at once")
    return merged
