"""JSON that no encoder writes: literal numbers and strings, keys that occur twice, nesting without end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Literal:
    """JSON text that is sent as it stands, valid or not."""

    text: str

    def __repr__(self) -> str:
        return f"Literal({self.text if len(self.text) < 60 else self.text[:50] + '…' + str(len(self.text))!r})"


@dataclass(frozen=True)
class Members:
    """An object as its members, among which a key may occur twice."""

    pairs: tuple[tuple[str, Any], ...]


def encoded(value: Any) -> bytes:
    """In UTF-8; lone surrogates become escapes, and infinities become `Infinity`."""
    return _text(value).encode()


def _text(value: Any) -> str:
    match value:
        case Literal(text):
            return text
        case Members(pairs):
            return "{" + ",".join(f"{json.dumps(key)}:{_text(member)}" for key, member in pairs) + "}"
        case dict():
            return _text(Members(tuple(value.items())))
        case list():
            return "[" + ",".join(map(_text, value)) + "]"
        case _:
            return json.dumps(value)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all values inside `value`."""
    children: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(value, dict):
        children = iter(value.items())
    elif isinstance(value, list):
        children = iter(enumerate(value))
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def found_at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy with another value at `path`, which may name a new member."""
    if not path:
        return new
    first, *rest = path
    if isinstance(value, dict):
        return {**value, first: replaced(value.get(first), tuple(rest), new)}
    if isinstance(value, list) and isinstance(first, int):
        return [replaced(item, tuple(rest), new) if at == first else item for at, item in enumerate(value)]
    return new


def renamed(value: Any, path: Path, new: str) -> Any:
    """A copy in which the member at `path` has another key."""
    parent = found_at(value, path[:-1])
    return replaced(value, path[:-1], {new if key == path[-1] else key: member for key, member in parent.items()})


def twice(value: Any, path: Path, new: Any) -> Any:
    """A copy in which the member at `path` occurs a second time, as `new`."""
    if isinstance(value, dict) and len(path) == 1:
        return Members((*value.items(), (str(path[0]), new)))
    if len(path) < 2:
        return value
    first, *rest = path
    child = value[first]
    return replaced(value, (first,), twice(child, tuple(rest), new))
