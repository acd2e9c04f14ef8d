"""How requests travel, and whether the kernel or the bench itself stamps what arrives."""

from __future__ import annotations

import sys

from bench.target import Origin
from bench.wire.base import Wire
from bench.wire.kernel import KernelWire
from bench.wire.sdk_wire import SdkWire

__all__ = ["Wire", "make_wire"]


def make_wire(origin: Origin, max_connections: int) -> Wire:
    """The wire with the most exact timestamps for a server, on the running loop."""
    if origin.scheme == "http" and sys.platform == "linux":
        return KernelWire(origin)
    return SdkWire(max_connections)
