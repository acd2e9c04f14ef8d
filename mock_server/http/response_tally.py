"""Counts responses that no endpoint sends: those to unknown paths, wrong methods, refused callers and preflights.

The number of labels is limited, whatever clients send: paths are those of routes, methods are those of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mock_server.telemetry.metrics import ServerMetrics

NO_HANDLER = "none"
"""The handler's name for an unknown path, as in vLLM's own server."""
UNKNOWN_METHOD = "unknown"
"""The method of a request that could not be parsed."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"))
_COUNTED = "mock_server.counted"


class ResponseTally:
    """Counts for the routes of one server."""

    def __init__(self, metrics: ServerMetrics, routes: Sequence[BaseRoute]) -> None:
        self._metrics = metrics
        self._routes = routes

    def add(self, scope: Scope, status: int) -> None:
        """Counts a response to a request that reached no endpoint."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.responses[method, self._handler(scope), status] += 1
        mark_counted(scope)

    def _handler(self, scope: Scope) -> str:
        for route in self._routes:
            if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
                return route.path
        return NO_HANDLER


def mark_counted(scope: Scope) -> None:
    """Marks a response as counted."""
    if (counted := scope.get(_COUNTED)) is not None:
        counted.append(True)


class CountTheRest:
    """Wraps an application and counts each response that was not counted inside it."""

    def __init__(self, app: ASGIApp, tally: ResponseTally) -> None:
        self._app = app
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counted: list[bool] = []
        status = 0

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not counted and not message.get("more_body", False):
                self._tally.add(scope, status)  # before the last byte, like endpoints
            await send(message)

        await self._app({**scope, _COUNTED: counted}, receive, counting)
