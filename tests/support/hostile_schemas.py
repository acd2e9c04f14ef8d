"""Schemas and expressions that would take seconds, gigabytes or forever without a work limit."""

from __future__ import annotations

from typing import Any


def _chain(length: int, link: Any, end: Any) -> dict[str, Any]:
    """`link` makes a definition from a reference to the next one."""
    definitions = {f"d{number}": link({"$ref": f"#/$defs/d{number + 1}"}) for number in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": end}}


def _nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


_TEXT = {"type": "string"}
_IMPOSSIBLE = {"type": "string", "minLength": 3, "maxLength": 2}

SCHEMAS: dict[str, Any] = {
    "a long text": {"type": "string", "minLength": 1_000_000},
    "a text of a gigabyte": {"type": "string", "minLength": 1_000_000_000},
    "many items": {"type": "array", "items": _TEXT, "minItems": 1_000_000},
    "many small items": {"type": "array", "items": {"type": "null"}, "minItems": 20_000},
    "many properties": {"type": "object", "minProperties": 1_000_000},
    "many names": {"type": "object", "required": [f"n{number}" for number in range(100_000)]},
    "a long name": {"type": "object", "required": ["x" * 1_000_000]},
    "items of many names": {
        "type": "array",
        "minItems": 1_000,
        "items": {"type": "object", "required": [f"n{number}" for number in range(50)]},
    },
    "nested repetitions": {"type": "string", "pattern": "(((((a{99}){99}){99}){99}){99}){99}"},
    "nested repetitions of a length": {
        "type": "string",
        "pattern": "(((((a{0,99}){0,99}){0,99}){0,99}){0,99}){0,99}",
        "minLength": 5_000,
    },
    "a catastrophic expression": {"allOf": [{"type": "string", "pattern": "^(a|aa)+$"}, {"pattern": "^(a*)*b$"}]},
    "a catastrophic expression of a length": {
        "type": "string",
        "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$",
        "minLength": 2_000,
    },
    "look-arounds": {"type": "string", "pattern": "^(?!.*(a|b|c)*d)(?=(a*)*$)[a-z]{2000}$"},
    "a long expression": {"type": "string", "pattern": "(a|b)" * 50_000},
    "many optional characters": {"type": "string", "pattern": "^" + "[a-z]?" * 5_000 + "$", "minLength": 4_000},
    "definitions that name the next twice in allOf": _chain(60, lambda ref: {"allOf": [ref, dict(ref)]}, _TEXT),
    "definitions that name the next twice in anyOf": _chain(60, lambda ref: {"anyOf": [ref, dict(ref)]}, _IMPOSSIBLE),
    "definitions that name the next twice in oneOf": _chain(30, lambda ref: {"oneOf": [ref, dict(ref)]}, _TEXT),
    "definitions that name the next twice in properties": _chain(
        30, lambda ref: {"type": "object", "properties": {"a": ref, "b": dict(ref)}, "required": ["a", "b"]}, _TEXT
    ),
    "definitions that name the next twice in items": _chain(
        38, lambda ref: {"type": "array", "items": ref, "minItems": 2}, _TEXT
    ),
    "a long chain of references": _chain(20_000, lambda ref: ref, _TEXT),
    "references in a circle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "a large enumeration": {"enum": list(range(300_000))},
    "a large enumeration of another type": {"enum": list(range(20_000)), "type": "string"},
    "a long constant": {"const": "a" * 5_000_000},
    "deep nesting": _nested(60),
    "many branches that cannot be": {"anyOf": [{**_IMPOSSIBLE, "title": str(number)} for number in range(20_000)]},
    "many parts": {"allOf": [{"minLength": number} for number in range(50_000)]},
    "many conditions": {
        "type": "object",
        "allOf": [
            {
                "if": {"required": [f"k{number}"]},
                "then": {"required": [f"k{number + 1}"]},
                "else": {"required": [f"j{number}"]},
            }
            for number in range(300)
        ],
    },
    "many patterns for names": {
        "type": "object",
        "patternProperties": {f"^(a|b)*{number}$": {"type": "integer"} for number in range(2_000)},
        "minProperties": 100,
    },
    "many dependents": {
        "type": "object",
        "dependentRequired": {
            f"n{number}": [f"n{other}" for other in range(number + 1, number + 50)] for number in range(2_000)
        },
        "required": ["n0"],
    },
    "multiples that are not there": {
        "type": "array",
        "minItems": 1_000,
        "items": {"type": "number", "multipleOf": 0.7, "minimum": 0.1, "maximum": 0.65},
    },
    "unique items of a large range": {
        "type": "array",
        "uniqueItems": True,
        "minItems": 20_000,
        "items": {"type": "integer", "minimum": 0, "maximum": 30_000},
    },
    "unique items of a small range": {
        "type": "array",
        "uniqueItems": True,
        "minItems": 5_000,
        "items": {"type": "string", "maxLength": 1},
    },
    "exactly one of many that are the same": {
        "type": "array",
        "minItems": 50,
        "items": {"oneOf": [{"type": "string"} for _ in range(50)]},
    },
    "what nothing satisfies": {
        "not": {"anyOf": [{"type": "object"}, {"type": "string"}]},
        "type": ["object", "string"],
    },
    "a number of four thousand digits": {"type": "integer", "minimum": 10**4_000},
}

EXPRESSIONS = {
    "nested repetitions": "(((((a{99}){99}){99}){99}){99}){99}",
    "a catastrophic expression": "(?=(a+)+$)(a|a)*",
    "a long expression": "(a|b)?" * 50_000,
    "many branches": "(" + "|".join(f"a{{{number}}}" for number in range(5_000)) + ")",
}
