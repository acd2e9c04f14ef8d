"""The kernel's receive timestamps of a socket, which Python does not define."""

from __future__ import annotations

import socket
import struct

# From <asm-generic/socket.h>. The stamp is a struct timespec of CLOCK_REALTIME.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")

ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0
"""How much `recvmsg` must have room for beside the data."""

timespec = _TIMESPEC.unpack
"""The seconds and nanoseconds of a stamp, `ancillary[0][2]`."""


def enable(connected: socket.socket) -> None:
    """Have the kernel stamp what arrives on a socket. Linux only. Raises OSError."""
    connected.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
