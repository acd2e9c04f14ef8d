"""Why no connection came about, in words that say what to do."""

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
    """The error to raise for what the operating system or TLS said about a connection to `origin`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TLSError(
            f"no TLS connection to {origin}: {error.reason}, {error.verify_message}; to trust it, name its authority "
            "in SSL_CERT_FILE, or give the transport an ssl_context"
        )
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None)  # missing where it is not OpenSSL's
        hint = "; does it speak plain http?" if reason in _NO_TLS else ""
        return TLSError(f"no TLS connection to {origin}: {reason or error}{hint}")
    return ConnectError(_words(origin, error))


def _words(origin: Origin, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the host name {origin.host!r} does not resolve"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"too many open files ({soft} allowed): raise the limit with `ulimit -n`, or ask for fewer streams"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"no local port is left for {origin}: keep connections alive, or ask for fewer at once"
    known = error.errno in errno.errorcode  # asyncio's own text names the address instead
    reason = os.strerror(error.errno).lower() if known and error.errno else (error.strerror or str(error))
    return f"nothing answers at {origin} ({reason})"
