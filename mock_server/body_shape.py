"""How many values a JSON body has, before it is read: each costs far more memory and time than its bytes do."""

import re
from collections.abc import Iterator

MAX_CONTAINERS = 20_000
"""Objects and arrays."""
MAX_VALUES = 500_000
WINDOW = 256 * 1024
"""Bytes in a piece of work, which takes some milliseconds."""
_BYTES_OF_A_CONTAINER = 2

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_UP_TO_AN_OPEN_STRING = re.compile(rb'(?:[^"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


class TooManyValuesError(ValueError):
    """The message says of what."""


def check_shape(
    body: bytes, *, max_containers: int = MAX_CONTAINERS, max_values: int = MAX_VALUES, window: int = WINDOW
) -> Iterator[None]:
    """Yields after each piece of work. Raises `TooManyValuesError`.

    Marks are counted wherever they stand, which is quick and shows nearly every body to be good; where there are too
    many, those within strings are left out.
    """
    if len(body) < max_containers * _BYTES_OF_A_CONTAINER:
        return
    counts = _Counts(max_containers, max_values)
    for start in range(0, len(body), window):
        counts.add(body[start : start + window])
        yield
    if counts.problem() is None:
        return
    counts = _Counts(max_containers, max_values)
    for outside in _outside_of_strings(body, window):
        counts.add(outside)
        problem = counts.problem()
        if problem is not None:
            raise TooManyValuesError(problem)
        yield


class _Counts:
    def __init__(self, max_containers: int, max_values: int) -> None:
        self._max_containers, self._max_values = max_containers, max_values
        self._containers = self._values = 0

    def add(self, text: bytes) -> None:
        self._containers += len(text) - len(text.translate(None, b"{["))
        self._values += len(text) - len(text.translate(None, b"{[,"))

    def problem(self) -> str | None:
        if self._containers > self._max_containers:
            return f"more than {self._max_containers:,} objects and arrays"
        if self._values > self._max_values:
            return f"more than {self._max_values:,} values"
        return None


def _outside_of_strings(body: bytes, window: int) -> Iterator[bytes]:
    at, is_inside = 0, False
    while at < len(body):
        end = min(at + window, len(body))
        if is_inside:
            at = _end_of(_REST_OF_STRING, body, at, end)
            if at < end:
                is_inside = body[at] != ord('"')
                at += 2 if is_inside else 1  # a backslash whose character is beyond the window, or the end
            yield b""
        else:
            border = _end_of(_UP_TO_AN_OPEN_STRING, body, at, end)
            yield _STRINGS.sub(b"", body[at:border])
            is_inside = border < end
            at = border + is_inside


def _end_of(pattern: re.Pattern[bytes], body: bytes, start: int, end: int) -> int:
    found = pattern.match(body, start, end)
    return start if found is None else found.end()
