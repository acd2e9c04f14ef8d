"""Checks the Host and Origin headers: which name a page called the server by, and where the page comes from."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from mock_server.errors import ApiError, host_not_allowed, origin_not_allowed, two_hosts
from mock_server.http.exchange import AsgiExchange
from mock_server.http.host_names import ANY, HostNames
from mock_server.http.response_tally import ResponseTally

_READING = frozenset(("GET", "HEAD", "OPTIONS"))
_OWN_SITES = (b"same-origin", b"none")


class HostCheck:
    """Refuses requests whose Host header is not a name of this server. Browsers always send one; others may omit it."""

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str], tally: ResponseTally) -> None:
        self._app = app
        self._names = HostNames(allowed_hosts)
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) > 1:
                await _refuse(two_hosts(), scope, receive, send, self._tally)
                return
            if hosts and not self._names.allow(hosts[0]):
                error = host_not_allowed(hosts[0].decode("latin-1"))
                await _refuse(error, scope, receive, send, self._tally)
                return
        await self._app(scope, receive, send)


class OriginCheck:
    """Refuses requests from pages of other origins, except reading ones, with or without a preflight. CORS decides who
    may read.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str], tally: ResponseTally) -> None:
        self._app = app
        self._allows_any = ANY in allowed_origins
        self._allowed = frozenset(origin.encode() for origin in allowed_origins)
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _READING and not self._allows_any:
            foreign = self._foreign_origin(scope)
            if foreign is not None:
                await _refuse(origin_not_allowed(foreign), scope, receive, send, self._tally)
                return
        await self._app(scope, receive, send)

    def _foreign_origin(self, scope: Scope) -> str | None:
        host = site = None
        origins: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"origin":
                origins.append(value)
            elif name == b"host":
                host = value
            elif name == b"sec-fetch-site":
                site = value
        for origin in origins:
            if origin not in self._allowed and not _is_own(origin, host):
                return str(origin, "latin-1")
        if not origins and site is not None and site not in _OWN_SITES:
            return "unknown"
        return None


def _is_own(origin: bytes, host: bytes | None) -> bool:
    scheme, found, address = origin.partition(b"://")
    return bool(found) and scheme in (b"http", b"https") and host is not None and address.lower() == host.lower()


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send, tally: ResponseTally) -> None:
    await AsgiExchange(scope, receive, send, lambda status: tally.add(scope, status)).send_error(error)
