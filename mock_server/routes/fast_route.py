"""The way of a generation through the application: straight from the ASGI server to its endpoint.

A framework's own layers wrap `send`; each of them would be passed by every event of every stream.
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


class ShortcutApp(FastAPI):
    """FastAPI in everything but that; what is added as middleware is on both ways."""

    def build_middleware_stack(self) -> ASGIApp:
        endpoints = {
            route.path: route.endpoint
            for route in self.router.routes
            if isinstance(route, Route) and isinstance(route.endpoint, GenerationEndpoint)
        }
        short = _wrapped(_Endpoints(endpoints), self.user_middleware)
        long = CountTheRest(super().build_middleware_stack(), self.state.tally)
        return _Fork(short, long, endpoints, root_path=self.state.server.settings.root_path)


class _Fork:
    """POSTs to the endpoints take the short way."""

    def __init__(self, short: ASGIApp, long: ASGIApp, endpoints: Mapping[str, ASGIApp], *, root_path: str) -> None:
        self._root_path = root_path
        self._short = short
        self._long = long
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._root_path and scope["type"] == "http":
            scope = with_root_path(scope, self._root_path)
        is_short = scope["type"] == "http" and scope["method"] == "POST" and own_path(scope) in self._endpoints
        await (self._short if is_short else self._long)(scope, receive, send)


class _Endpoints:
    def __init__(self, endpoints: Mapping[str, ASGIApp]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoints[own_path(scope)](scope, receive, send)


def _wrapped(app: ASGIApp, chain: Sequence[Middleware]) -> ASGIApp:
    for middleware in reversed(chain):
        app = middleware.cls(app, *middleware.args, **middleware.kwargs)
    return app
