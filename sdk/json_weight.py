"""Estimates how much memory the values of JSON take once parsed: a short text may hold millions of them."""

from __future__ import annotations

LIGHT_BYTES = 256 * 1024
"""JSON up to this size is not weighed: it takes little memory, whatever its values."""
# Measured: an object becomes a struct or a dict, and any other value takes at least a slot in a list.
OBJECT_BYTES, _LIST_BYTES, _VALUE_BYTES = 500, 150, 60
_WINDOW = 256 * 1024


def is_over_weight(data: bytes, limit: int, object_bytes: int = OBJECT_BYTES) -> bool:
    """Whether the values of the JSON take more than about `limit` bytes once parsed, not counting its text."""
    if len(data) <= LIGHT_BYTES or _weight(data, object_bytes) <= limit:
        return False
    return _weight_of_values(data, object_bytes) > limit


def _weight(data: bytes, object_bytes: int) -> int:
    """An estimate that also counts brackets and commas within strings."""
    return object_bytes * data.count(b"{") + _LIST_BYTES * data.count(b"[") + _VALUE_BYTES * data.count(b",")


def _weight_of_values(data: bytes, object_bytes: int = OBJECT_BYTES) -> int:
    """An estimate that leaves out strings. It works in windows: to split it all would take many times its memory."""
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
