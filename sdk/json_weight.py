"""Estimates, before JSON is parsed, how much memory its values will take: short texts may have millions of them."""

from __future__ import annotations

import re

LIGHT_BYTES = 1024 * 1024
"""JSON up to this size is not weighed: whatever is in it, it takes little memory."""
# Measured: an object becomes a struct or a dict, and any other value needs at least a place in a list.
OBJECT_BYTES, _LIST_BYTES, _VALUE_BYTES = 500, 100, 60
_WINDOW = 256 * 1024
_END = b"\xff"  # marks the end of a window: UTF-8 has no such byte
# A string, up to its quote or to the end of the window; what is kept of the latter is an unfinished escape.
_STRING = re.compile(rb'"(?:[^"\\\xff]|\\[^\xff])*+(?:"|(\\?)\xff)')


def is_over_weight(data: bytes, limit: int, object_bytes: int = OBJECT_BYTES) -> bool:
    """Whether the values of the JSON will take more than about `limit` bytes; the text itself does not count."""
    if len(data) <= LIGHT_BYTES or _weight(data, object_bytes) <= limit:
        return False
    return _END in data or _weight_of_values(data, object_bytes) > limit


def _weight(data: bytes, object_bytes: int) -> int:
    """Counted as if no string contained a bracket or a comma."""
    return object_bytes * data.count(b"{") + _LIST_BYTES * data.count(b"[") + _VALUE_BYTES * data.count(b",")


def _weight_of_values(data: bytes, object_bytes: int = OBJECT_BYTES) -> int:
    """Counted outside strings. It works in windows, because a regex over all of it would need as much memory."""
    weight, before = 0, b""
    for start in range(0, len(data), _WINDOW):
        outside = _STRING.sub(rb"\1", before + data[start : start + _WINDOW] + _END)
        weight += _weight(outside, object_bytes)
        before = b"" if outside.endswith(_END) else b'"\\' if outside.endswith(b"\\") else b'"'
    return weight
