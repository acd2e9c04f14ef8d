"""Counts the values of a JSON body before it is parsed, because values cost far more memory and time than bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_CONTAINERS = 20_000
"""Objects and arrays."""
MAX_MEMBERS = 100_000
"""Names in objects."""
MAX_VALUES = 500_000
MAX_ESCAPES = 5_000_000
"""Characters in strings that are escaped with a backslash."""
SMALL = 2 * MAX_CONTAINERS
"""A body of this many bytes cannot have too many values."""
WINDOW = 256 * 1024
"""Bytes counted at a time, which takes a few milliseconds."""
_BYTES_OF_A_CONTAINER = 2

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_UP_TO_AN_OPEN_STRING = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


class TooManyValuesError(ValueError):
    """The message says which limit was exceeded."""


@dataclass(frozen=True, slots=True)
class ShapeLimits:
    containers: int = MAX_CONTAINERS
    members: int = MAX_MEMBERS
    values: int = MAX_VALUES
    escapes: int = MAX_ESCAPES


def check_shape(body: bytes, limits: ShapeLimits = ShapeLimits(), *, window: int = WINDOW) -> Iterator[None]:
    """Yields after each piece of work. Raises `TooManyValuesError`.

    First counts brackets, colons and commas everywhere, which is fast and accepts nearly every body. If there are too
    many, counts again without those in strings.
    """
    if len(body) < limits.containers * _BYTES_OF_A_CONTAINER:
        return
    counts = _Counts(limits)
    escapes = 0
    for start in range(0, len(body), window):
        piece = body[start : start + window]
        counts.add(piece)
        escapes += _count(piece, b"\\")
        yield
    if escapes > 2 * limits.escapes:  # an escaped backslash counts twice
        raise TooManyValuesError(f"more than {limits.escapes:,} escaped characters")
    if counts.problem() is None:
        return
    counts = _Counts(limits)
    for outside in _outside_of_strings(body, window):
        counts.add(outside)
        problem = counts.problem()
        if problem is not None:
            raise TooManyValuesError(problem)
        yield


class _Counts:
    def __init__(self, limits: ShapeLimits) -> None:
        self._limits = limits
        self._containers = self._members = self._values = 0

    def add(self, text: bytes) -> None:
        containers = _count(text, b"{[")
        self._containers += containers
        self._members += _count(text, b":")
        self._values += containers + _count(text, b",")

    def problem(self) -> str | None:
        limits = self._limits
        if self._containers > limits.containers:
            return f"more than {limits.containers:,} objects and arrays"
        if self._members > limits.members:
            return f"more than {limits.members:,} members of objects"
        if self._values > limits.values:
            return f"more than {limits.values:,} values"
        return None


def _count(text: bytes, marks: bytes) -> int:
    return len(text) - len(text.translate(None, marks))


def _outside_of_strings(body: bytes, window: int) -> Iterator[bytes]:
    at, is_inside = 0, False
    while at < len(body):
        end = min(at + window, len(body))
        if is_inside:
            at = _end_of(_REST_OF_STRING, body, at, end)
            if at < end:
                is_inside = body[at] != ord('"')
                at += 2 if is_inside else 1  # a backslash whose character is outside the window, or the closing quote
            yield b""
        else:
            border = _end_of(_UP_TO_AN_OPEN_STRING, body, at, end)
            yield _STRINGS.sub(b"", body[at:border])
            is_inside = border < end
            at = border + is_inside


def _end_of(pattern: re.Pattern[bytes], body: bytes, start: int, end: int) -> int:
    found = pattern.match(body, start, end)
    return start if found is None else found.end()
