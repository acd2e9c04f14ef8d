"""Finds a JSON schema in a prompt: in JSON mode, clients such as instructor describe the object there."""

from __future__ import annotations

import json
import re
from typing import Any

_OPENING = re.compile(
    r'\{\s*"(?:\$defs|\$schema|additionalProperties|definitions|description|properties|required|title|type)"\s*:'
)
_MOST_TRIED = 32  # since each attempt may read to the end of the prompt
_decoder = json.JSONDecoder()


def prompted_schema(prompt: str) -> dict[str, Any] | None:
    """The last JSON schema of an object in a text.

    None if none of the first candidates is a schema.
    """
    found: dict[str, Any] | None = None
    position = 0
    for _ in range(_MOST_TRIED):
        opening = _OPENING.search(prompt, position)
        if opening is None:
            break
        try:
            value, position = _decoder.raw_decode(prompt, opening.start())
        except (ValueError, RecursionError):
            position = opening.end()
            continue
        if _describes_an_object(value):
            found = value
    return found


def _describes_an_object(value: dict[str, Any]) -> bool:
    properties = value.get("properties")
    if isinstance(properties, dict):
        return all(isinstance(schema, dict | bool) for schema in properties.values())
    return isinstance(value.get("$ref"), str) and isinstance(value.get("$defs"), dict)
