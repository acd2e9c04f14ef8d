"""How much a JSON text holds, found without parsing it: values take far more time and memory than characters."""

from __future__ import annotations

from itertools import accumulate

_VALUES = "{[,:"
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_NO_BRACKETS = bytes(code for code in range(256) if code not in _STEPS)


def num_values(text: str) -> int:
    """Objects, arrays, commas and colons outside of strings, which are at least as many as the values."""
    return most_values(_outside_of_strings(text))


def most_values(text: str) -> int:
    """At least `num_values`, and much faster: those in strings count, too."""
    return sum(map(text.count, _VALUES))


def nesting(text: str, limit: int) -> int:
    """The most objects and arrays that are open at once; it may be less, down to 0, where that is within the limit."""
    if text.count("{") + text.count("[") <= limit:
        return 0
    brackets = _outside_of_strings(text).encode("utf-8", "replace").translate(None, _NO_BRACKETS)
    most = 2 * (brackets.count(b"{") + brackets.count(b"["))  # more close nothing
    return max(accumulate(map(_STEPS.__getitem__, brackets[:most]), initial=0))


def _outside_of_strings(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    return "".join(text.split('"')[::2])
