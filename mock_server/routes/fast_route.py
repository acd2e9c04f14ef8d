"""A fast route through the application for generations: from the ASGI server straight to the endpoint.

The framework's layers wrap `send`, so every event of every stream would pass through each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mock_server.http.response_tally import CountTheRest
from mock_server.http.root_path import own_path, with_root_path
from mock_server.routes.generation_endpoint import GenerationEndpoint


class FastRouteApp(FastAPI):
    """FastAPI with a fast route. Middleware that is added to it applies to both routes."""

    def build_middleware_stack(self) -> ASGIApp:
        endpoints = {
            route.path: route.endpoint
            for route in self.router.routes
            if isinstance(route, Route) and isinstance(route.endpoint, GenerationEndpoint)
        }
        fast = _wrapped(_Endpoints(endpoints), self.user_middleware)
        full = CountTheRest(super().build_middleware_stack(), self.state.tally)
        return _Fork(fast, full, endpoints, root_path=self.state.server.settings.root_path)


class _Fork:
    """Sends POSTs to the endpoints by the fast route, and all other requests by FastAPI's own."""

    def __init__(self, fast: ASGIApp, full: ASGIApp, endpoints: Mapping[str, ASGIApp], *, root_path: str) -> None:
        self._root_path = root_path
        self._fast = fast
        self._full = full
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._root_path and scope["type"] == "http":
            scope = with_root_path(scope, self._root_path)
        is_fast = scope["type"] == "http" and scope["method"] == "POST" and own_path(scope) in self._endpoints
        await (self._fast if is_fast else self._full)(scope, receive, send)


class _Endpoints:
    def __init__(self, endpoints: Mapping[str, ASGIApp]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoints[own_path(scope)](scope, receive, send)


def _wrapped(app: ASGIApp, chain: Sequence[Middleware]) -> ASGIApp:
    for middleware in reversed(chain):
        app = middleware.cls(app, *middleware.args, **middleware.kwargs)
    return app
