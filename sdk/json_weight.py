"""Estimates, before JSON is parsed, how much memory its values will take: short texts may have millions of them."""

from __future__ import annotations

LIGHT_BYTES = 256 * 1024
"""JSON up to this size is not weighed: whatever is in it, it takes little memory."""
# Measured: an object becomes a struct or a dict, and any other value needs at least a place in a list.
OBJECT_BYTES, _LIST_BYTES, _VALUE_BYTES = 500, 150, 60
_WINDOW = 256 * 1024


def is_over_weight(data: bytes, limit: int, object_bytes: int = OBJECT_BYTES) -> bool:
    """Whether the values of the JSON will take more than about `limit` bytes; the text itself does not count."""
    if len(data) <= LIGHT_BYTES or _weight(data, object_bytes) <= limit:
        return False
    return _weight_of_values(data, object_bytes) > limit


def _weight(data: bytes, object_bytes: int) -> int:
    """Counted as if no string contained a bracket or a comma."""
    return object_bytes * data.count(b"{") + _LIST_BYTES * data.count(b"[") + _VALUE_BYTES * data.count(b",")


def _weight_of_values(data: bytes, object_bytes: int = OBJECT_BYTES) -> int:
    """Counted outside strings, in windows: the pieces of all of it would take many times its memory."""
    weight, is_inside, before = 0, False, b""
    for start in range(0, len(data), _WINDOW):
        window = before + data[start : start + _WINDOW]
        if b"\\" in window:
            window = window.replace(rb"\\", b"").replace(rb"\"", b"")
        before = b"\\" if window.endswith(b"\\") else b""  # half of an escape
        pieces = window.removesuffix(before).split(b'"')
        weight += _weight(b"".join(pieces[is_inside::2]), object_bytes)
        is_inside ^= len(pieces) % 2 == 0
    return weight
