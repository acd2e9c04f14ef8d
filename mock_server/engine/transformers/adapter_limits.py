"""What adapters an engine takes."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class AdapterLimits(NamedTuple):
    """How many adapters may be loaded, and of which rank; None: any. `variants`: see `AdapterFiles.read`."""

    number: int | None = None
    rank: int | None = None
    variants: Collection[str] = ()
