"""Schemas from hypothesis: every keyword, in combinations that nobody would write."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Spec = dict[str, st.SearchStrategy[Any]]

TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")
PATTERNS = ("^a", "b$", "^[a-z]{2,4}$", "a|b", r"\d+", "^x-", "[^a]", "^(ab|c)*$", ".{3}", r"^(?!a)\w+$")

_names = st.sampled_from(["a", "b", "c", "long_name", "x-1", ""])
_numbers = st.integers(-20, 20) | st.floats(-20, 20).map(lambda number: round(number, 3))
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=2),
    max_leaves=4,
)
_scalar_keywords: Spec = {
    "minLength": st.integers(0, 8),
    "maxLength": st.integers(0, 20),
    "pattern": st.sampled_from(PATTERNS),
    "format": st.sampled_from(["date", "email", "uuid", "uri", "nonsense"]),
    "minimum": _numbers,
    "maximum": _numbers,
    "exclusiveMinimum": _numbers,
    "exclusiveMaximum": _numbers,
    "multipleOf": st.sampled_from([1, 2, 0.5, 0.1, 3, 7, 0.01]),
    "minItems": st.integers(0, 4),
    "maxItems": st.integers(0, 5),
    "uniqueItems": st.booleans(),
    "minProperties": st.integers(0, 3),
    "maxProperties": st.integers(0, 4),
    "required": st.lists(_names, max_size=3, unique=True),
    "dependentRequired": st.dictionaries(_names, st.lists(_names, max_size=2, unique=True), max_size=2),
    "minContains": st.integers(0, 2),
    "maxContains": st.integers(0, 3),
    "enum": st.lists(_values, min_size=1, max_size=4),
    "const": _values,
    "nullable": st.booleans(),
    "title": st.text(max_size=3),
    "default": _values,
    "x-unheard-of": _values,
}


def _nesting_keywords(inner: st.SearchStrategy[Any]) -> Spec:
    branches = st.lists(inner, min_size=1, max_size=3)
    return {
        "properties": st.dictionaries(_names, inner, max_size=4),
        "patternProperties": st.dictionaries(st.sampled_from(PATTERNS), inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": st.sampled_from([{"pattern": "^[a-z]+$"}, {"maxLength": 3}, {"enum": ["a", "b", "zz"]}]),
        "items": inner,
        "prefixItems": branches,
        "contains": inner,
        "anyOf": branches,
        "oneOf": branches,
        "allOf": branches,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "dependentSchemas": st.dictionaries(_names, inner, max_size=2),
        "unevaluatedProperties": inner,
        "unevaluatedItems": inner,
        "$ref": st.sampled_from(["#", "#/$defs/d", "#/$defs/e"]),
    }


@st.composite
def _schema(draw: st.DrawFn, keywords: Spec) -> dict[str, Any]:
    kinds = st.sampled_from(TYPES)
    said = draw(st.none() | kinds | st.lists(kinds, min_size=1, max_size=3, unique=True))
    chosen = draw(st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True))
    return {**({} if said is None else {"type": said}), **{name: draw(keywords[name]) for name in chosen}}


schemas: st.SearchStrategy[Any] = st.recursive(
    _schema(_scalar_keywords) | st.booleans(),
    lambda inner: _schema({**_scalar_keywords, **_nesting_keywords(inner)}),
    max_leaves=12,
)


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """Schemas whose references lead somewhere."""
    root = draw(schemas)
    if isinstance(root, dict):
        root["$defs"] = {"d": draw(schemas), "e": draw(schemas)}
    return root
