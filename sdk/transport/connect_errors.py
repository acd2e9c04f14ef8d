"""Explains why a connection could not be made, and what to do about it."""

from __future__ import annotations

import errno
import os
import resource
import socket
import ssl

from sdk.errors import ConnectError, TLSError
from sdk.transport.base import Origin

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})


def connect_error(origin: Origin, error: OSError) -> ConnectError:
    """The error to raise when the operating system or TLS reports `error` for a connection to `origin`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TLSError(
            f"no TLS connection to {origin}: {error.reason}, {error.verify_message}",
            remedy="to trust it, name its authority in SSL_CERT_FILE, or give the transport an ssl_context",
            reason="certificate",
        )
    if isinstance(error, ssl.SSLError):
        name = getattr(error, "reason", None)  # only OpenSSL's errors have one
        problem = f"no TLS connection to {origin}: {name or error}"
        if name in _NO_TLS:
            return TLSError(problem, remedy="does it speak plain http?", reason="plain http")
        return TLSError(problem, reason="tls")
    if isinstance(error, socket.gaierror):
        return ConnectError(f"the host name {origin.host!r} does not resolve", reason="unresolved")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return ConnectError(
            f"too many open files ({soft} allowed)",
            remedy="raise the limit with `ulimit -n`, or ask for fewer streams",
            reason="local limit",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ConnectError(
            f"no local port is left for {origin}",
            remedy="keep connections alive, or make fewer requests at the same time",
            reason="local limit",
        )
    return ConnectError(f"nothing answers at {origin} ({_reason(error)})", reason="unreachable")


def _reason(error: OSError) -> str:
    is_known = error.errno in errno.errorcode  # otherwise asyncio's own text, which names the address
    return os.strerror(error.errno).lower() if is_known and error.errno else (error.strerror or str(error))
