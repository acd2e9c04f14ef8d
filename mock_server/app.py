"""`create_app` makes an ASGI application from an engine and settings. Nothing is global: a process may have several."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mock_server.engine.base import Engine
from mock_server.errors import ApiError, server_failed
from mock_server.http.api_keys import ApiKeyMiddleware, key_digests
from mock_server.http.callers import HostCheck, OriginCheck
from mock_server.http.exchange import AsgiExchange
from mock_server.http.response_tally import ResponseTally
from mock_server.routes import all_routes
from mock_server.routes.fast_route import FastRouteApp
from mock_server.settings import ServerSettings
from mock_server.state import ServerState

_log = logging.getLogger(__name__)


def create_app(engine: Engine, settings: ServerSettings | None = None) -> FastAPI:
    """The server's routes over `engine`, which starts and stops with the application (ASGI lifespan)."""
    state = ServerState(engine, settings or ServerSettings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = []
        try:
            await engine.start()
            await state.models.add_adapters()
            if state.settings.log_interval_s > 0:
                log = state.throughput.log_for_ever(state.settings.log_interval_s)
                tasks.append(asyncio.create_task(log, name="statistics line"))
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await engine.stop()

    routes = all_routes(state)
    tally = ResponseTally(state.metrics, routes)
    app = FastRouteApp(
        title="streamgauge",
        openapi_url=None,
        routes=routes,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would go to any host that the Host header names
        middleware=_middleware(state.settings, tally),
        exception_handlers={HTTPException: _http_exception, Exception: _unexpected},
    )
    app.state.server = state
    app.state.tally = tally
    return app


def _middleware(settings: ServerSettings, tally: ResponseTally) -> list[Middleware]:
    """CORS wraps everything but the Host check, because a browser must be able to read a refusal."""
    chain = [Middleware(HostCheck, allowed_hosts=settings.allowed_hosts, tally=tally)]
    if (cors := settings.cors) is not None:
        chain.append(
            Middleware(
                CORSMiddleware,
                allow_origins=cors.origins,
                allow_methods=cors.methods,
                allow_headers=cors.headers,
                allow_credentials=cors.credentials,
                expose_headers=["x-request-id", "retry-after"],
            )
        )
    origins = cors.origins if cors is not None else ()
    chain.append(Middleware(OriginCheck, allowed_origins=origins, tally=tally))
    if settings.api_keys:
        chain.append(Middleware(ApiKeyMiddleware, digests=key_digests(settings.api_keys), tally=tally))
    return chain


async def _http_exception(request: Request, error: Exception) -> Response:
    """Requests that the router refuses: those with an unknown path or a wrong method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    path = request.url.path[:200]
    if status == 405:
        message = f"{path} does not support {request.method}"
    else:
        message = f"There is no route {request.method} {path}"
    return _ErrorResponse(ApiError(status, message, headers=headers))


async def _unexpected(request: Request, error: Exception) -> Response:
    return _ErrorResponse(server_failed())


class _ErrorResponse(Response):
    """An error in the form in which endpoints send it."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(status_code=error.status)
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await AsgiExchange(scope, receive, send).send_error(self._error)
