"""An object without a schema, for a request for JSON that does not say what the object holds."""

from __future__ import annotations

import random
from typing import Any

from mock_server.engine.author.drawing import formats
from mock_server.engine.author.drawing.strings import WORDS

_NAMES = (
    "answer",
    "title",
    "summary",
    "name",
    "category",
    "count",
    "score",
    "tags",
    "done",
    "details",
    "date",
    "items",
)
_MOST_NAMES = 5


def free_object(source: random.Random, *, depth: int = 1) -> dict[str, Any]:
    chosen = source.sample(_NAMES, k=source.randint(2, _MOST_NAMES))
    return {name: _value(name, source, depth) for name in chosen}


def _value(name: str, source: random.Random, depth: int) -> Any:
    match name:
        case "count":
            return source.randint(0, 99)
        case "score":
            return round(source.random(), 2)
        case "done":
            return source.random() < 0.5
        case "date":
            return formats.text_of("date", source)
        case "tags" | "items":
            return source.sample(WORDS, k=source.randint(1, 3))
        case "details" if depth:
            return free_object(source, depth=depth - 1)
    return " ".join(source.sample(WORDS, k=source.randint(1, 3)))
