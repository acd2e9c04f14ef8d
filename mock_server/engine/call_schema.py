"""The JSON schema of an answer that is a list of function calls, for engines with constrained decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mock_server.engine.base import CallForm

_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_DATA = ("const", "enum", "default", "examples")


def call_list_schema(calls: Sequence[CallForm], most: int | None) -> dict[str, Any]:
    """Parameters with references into themselves become definitions, and the references are adjusted."""
    definitions: dict[str, Any] = {}
    branches = []
    for call in calls:
        parameters = call.parameters
        name = call.name if call.name not in definitions else f"{call.name}_{len(definitions)}"
        moved = _moved(parameters, f"#/$defs/{name}")
        if moved != parameters:
            definitions[name] = moved
            parameters = {"$ref": f"#/$defs/{name}"}
        branches.append({
            "type": "object",
            "properties": {"name": {"enum": [call.name]}, "parameters": parameters},
            "required": ["name", "parameters"],
            "additionalProperties": False,
        })  # fmt: skip
    schema: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"anyOf": branches}}
    if most is not None:
        schema["maxItems"] = most
    return {**schema, "$defs": definitions} if definitions else schema


def _moved(node: Any, place: str, *, is_by_name: bool = False) -> Any:
    """The schema with its references adjusted to `place`. `is_by_name`: the value maps names to schemas."""
    if isinstance(node, list):
        return [_moved(item, place) for item in node]
    if not isinstance(node, Mapping):
        return node
    moved = {}
    for key, value in node.items():
        if not is_by_name and key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/")):
            moved[key] = place + value[1:]
        elif not is_by_name and key in _DATA:
            moved[key] = value
        else:
            moved[key] = _moved(value, place, is_by_name=not is_by_name and key in _BY_NAME)
    return moved
