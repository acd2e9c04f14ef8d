"""Counts the values of a JSON text without parsing it, because values take far more time and memory than characters."""

from __future__ import annotations

from itertools import accumulate

_VALUES = "{[,:"
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_NO_BRACKETS = bytes(code for code in range(256) if code not in _STEPS)


def num_values(text: str) -> int:
    """The number of objects, arrays, commas and colons outside strings: at least the number of values."""
    return most_values(_outside_of_strings(text))


def most_values(text: str) -> int:
    """At least `num_values`, and much faster: marks inside strings count as well."""
    return sum(map(text.count, _VALUES))


def nesting(text: str, limit: int) -> int:
    """How deep objects and arrays are nested. Within the limit the result may be too low, down to 0."""
    if text.count("{") + text.count("[") <= limit:
        return 0
    brackets = _outside_of_strings(text).encode("utf-8", "replace").translate(None, _NO_BRACKETS)
    most = 2 * (brackets.count(b"{") + brackets.count(b"["))  # further brackets close nothing
    return max(accumulate(map(_STEPS.__getitem__, brackets[:most]), initial=0))


def _outside_of_strings(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    return "".join(text.split('"')[::2])
