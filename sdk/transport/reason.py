"""Why no connection came about, in words that say what to do."""

from __future__ import annotations

import errno
import resource
import socket
import ssl

from sdk.errors import ConnectError, TLSError
from sdk.transport.base import Origin


def connect_error(origin: Origin, error: OSError) -> ConnectError:
    """The error to raise for what the operating system or TLS said about a connection to `origin`."""
    if isinstance(error, ssl.SSLError):
        return TLSError(f"no TLS connection to {origin}: {error.reason or error}")
    return ConnectError(_words(origin, error))


def _words(origin: Origin, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host name {origin.host!r} does not resolve"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"too many open files ({soft} allowed): raise the limit with `ulimit -n`, or ask for fewer streams"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"no local port is left for {origin}: keep connections alive, or ask for fewer at once"
    reason = "connection refused" if isinstance(error, ConnectionRefusedError) else (error.strerror or str(error))
    return f"nothing answers at {origin} ({reason})"
