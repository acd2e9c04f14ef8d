"""Room on a disk, and how libraries say that there is none left."""

from __future__ import annotations

import errno

_SAID = ("No space left on device", "Disk quota exceeded", "PytorchStreamWriter failed writing", "os error 28")


def full_disk(error: BaseException) -> bool:
    """Whether this error, or one that it comes from, says that a disk or a quota is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(text in str(seen) for text in _SAID):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def needed_text(needed: int, free: int) -> str:
    """`1.2 GB of disk; 0.3 GB are free`."""
    return f"{_size(needed)} of disk; {_size(free)} are free"


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
