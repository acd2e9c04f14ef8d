"""Translates the errors of an httpx-style client into this package's."""

from __future__ import annotations

from time import monotonic_ns

from sdk.deadline import Deadline
from sdk.errors import (
    ConfigError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    FirstByteTimeoutError,
    PoolTimeoutError,
    ProtocolError,
    RequestTimeoutError,
    SDKError,
    StallTimeoutError,
    TransportError,
)
from sdk.transport.base import Request
from sdk.transport.connect_errors import connect_error
from sdk.transport.proxy import shown_proxy

# By name, because the classes of httpx2 and httpx are not related.
_ERRORS: dict[str, type[SDKError]] = {
    "PoolTimeout": PoolTimeoutError,
    "ConnectError": ConnectError,
    "ProxyError": ConnectError,
    "RemoteProtocolError": ProtocolError,
    "ReadError": ConnectionLostError,
    "WriteError": ConnectionLostError,
    "CloseError": ConnectionLostError,
    "LocalProtocolError": ProtocolError,
    "DecodingError": ProtocolError,
    "UnsupportedProtocol": ConfigError,
    "TransportError": TransportError,
}
MOMENT_NS = 50_000_000
_TIMEOUTS: dict[str, type[RequestTimeoutError]] = {
    "ConnectTimeout": ConnectTimeoutError,
    "PoolTimeout": PoolTimeoutError,
}


def raise_ours(error: BaseException, request: Request, deadline: Deadline, *, has_head: bool = False) -> None:
    """Raise our error for an error of the client; return if it is ours already or not the client's."""
    if isinstance(error, SDKError) or not isinstance(error, Exception):
        return
    translated = _translation(error, request, deadline, has_head)
    if translated is not None:
        raise translated from error


def _translation(error: Exception, request: Request, deadline: Deadline, has_head: bool) -> SDKError | None:
    names = [kind.__name__ for kind in type(error).__mro__]
    if "TimeoutException" in names:
        # the timeout of a socket may fire a moment before our limit
        return deadline.error(monotonic_ns() + MOMENT_NS) or _own_timeout(names, str(error), has_head)
    kind = next((_ERRORS[name] for name in names if name in _ERRORS), None)
    if kind is None:
        return None
    if "RemoteProtocolError" in names and any(words in str(error) for words in ("isconnected", "peer closed")):
        return ConnectionLostError(str(error))
    if "ProxyError" in names:
        return ConnectError(
            f"the proxy {shown_proxy(request.origin) or ''} refuses to connect to {request.origin}: {error}",
            reason="proxy",
        )
    if kind is ConnectError and (cause := _os_error(error)) is not None:
        failed = connect_error(request.origin, cause)
        if proxy := shown_proxy(request.origin):
            failed.message += f"; the request went through the proxy of the environment, {proxy}"
        return failed
    return kind(str(error) or type(error).__name__)


def _own_timeout(names: list[str], said: str, has_head: bool) -> RequestTimeoutError:
    """The error for one of the client's own timeouts."""
    otherwise = StallTimeoutError if has_head else FirstByteTimeoutError
    kind = next((_TIMEOUTS[name] for name in names if name in _TIMEOUTS), otherwise)
    return kind(f"the HTTP client's own timeout passed ({names[0]}{': ' * bool(said)}{said})")


def _os_error(error: BaseException | None) -> OSError | None:
    """The operating system's error that caused an error of the client."""
    found: OSError | None = None
    while error is not None:
        if isinstance(error, BaseExceptionGroup):  # trio raises one for all the addresses it tried
            error = error.exceptions[0]
        found = error if isinstance(error, OSError) else found
        error = error.__cause__ or error.__context__
    return found
