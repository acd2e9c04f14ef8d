"""API keys: the routes of the API require one of them; routes for the operator, such as /health, do not."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from mock_server.errors import unauthorized
from mock_server.http.exchange import AsgiExchange
from mock_server.http.response_tally import ResponseTally
from mock_server.http.root_path import own_path

_GUARDED = ("/v1", "/tokenize", "/detokenize")


class ApiKeyMiddleware:
    """Compares keys as digests, in constant time."""

    def __init__(self, app: ASGIApp, digests: Sequence[bytes], tally: ResponseTally) -> None:
        self._app = app
        self._tally = tally
        self._digests = digests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "OPTIONS" or not own_path(scope).startswith(_GUARDED):
            await self._app(scope, receive, send)
            return
        problem = self._problem(dict(scope["headers"]).get(b"authorization"))
        if problem is None:
            await self._app(scope, receive, send)
        else:
            exchange = AsgiExchange(scope, receive, send, lambda status: self._tally.add(scope, status))
            await exchange.send_error(unauthorized(problem))

    def _problem(self, authorization: bytes | None) -> str | None:
        if authorization is None:
            return "No API key was given: send it as 'Authorization: Bearer KEY'"
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            return "The Authorization header must be 'Bearer KEY'"
        given = _digest(key.strip())
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        return None if any(matches) else "The API key is not valid"


def key_digests(keys: Sequence[str]) -> list[bytes]:
    """Digests for the application, whose `repr` would show keys. Raises `ValueError` for an empty key."""
    if not all(key.strip() for key in keys):
        raise ValueError("an API key must not be empty")
    return [_digest(key.encode()) for key in keys]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
