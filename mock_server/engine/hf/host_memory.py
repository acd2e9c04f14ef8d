"""The memory of this machine, and how much of it a KV cache gets unless that was said."""

from __future__ import annotations

import re

_GIB = 1024**3


def available_memory_bytes(meminfo: str) -> int | None:
    """The memory that the kernel could give to a program, from the text of /proc/meminfo."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def default_cache_bytes(available: int) -> int:
    """A quarter of what is free, and at most 4 GiB."""
    return min(4 * _GIB, available // 4)
