"""What adapters an engine takes."""

from __future__ import annotations

from typing import NamedTuple


class AdapterLimits(NamedTuple):
    """How many adapters may be loaded, and of which rank; None: any."""

    number: int | None = None
    rank: int | None = None
