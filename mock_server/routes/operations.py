"""Routes for the operator: health, readiness, load, metrics, version and the description of the API."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from pydantic_core import to_json

from mock_server.errors import shutting_down
from mock_server.http.exchange import AsgiExchange
from mock_server.routes.endpoint import Endpoint
from mock_server.state import ServerState
from streamgauge.version import __version__


class Ready(Endpoint):
    """200 while the server accepts requests: the engine can serve, and the server is not shutting down."""

    async def handle(self, exchange: AsgiExchange) -> None:
        self._check()
        await exchange.send_json(200, to_json({"status": "ready"}))

    def _check(self) -> None:
        if self.state.admission.is_closed:
            raise shutting_down()
        self.state.engine.check_health()


class Health(Ready):
    """Like `Ready`, with the engine's counters."""

    async def handle(self, exchange: AsgiExchange) -> None:
        self._check()
        engine = self.state.engine
        info = {"name": engine.info.name, "profile": engine.info.profile}
        body = to_json({"status": "ok", "engine": info | asdict(engine.stats())})
        await exchange.send_json(200, body)


class Ping(Ready):
    """Like `Ready`, with an empty body."""

    async def handle(self, exchange: AsgiExchange) -> None:
        self._check()
        await exchange.send_text("")


class Load(Endpoint):
    """The number of generations in progress, in vLLM's form."""

    async def handle(self, exchange: AsgiExchange) -> None:
        await exchange.send_json(200, to_json({"server_load": self.state.admission.under_way}))


class Metrics(Endpoint):
    """Metrics in Prometheus' text format. Writes one answer at a time, because each takes milliseconds."""

    def __init__(self, state: ServerState, path: str) -> None:
        super().__init__(state, path)
        self._turn = asyncio.Lock()

    async def handle(self, exchange: AsgiExchange) -> None:
        from mock_server.telemetry.exposition import (  # prometheus_client is slow to import and seldom needed
            CONTENT_TYPE,
            exposition,
        )

        state = self.state
        model_name = state.settings.model_names[0]
        async with self._turn:
            text = exposition(state.metrics, state.engine.stats(), model_name, state.engine.own_metrics())
            await asyncio.sleep(0)
        await exchange.send_text(text, CONTENT_TYPE)


class Version(Endpoint):
    async def handle(self, exchange: AsgiExchange) -> None:
        await exchange.send_json(200, to_json({"version": __version__}))


class Description(Endpoint):
    """The API as an OpenAPI document. It never changes, so it is written once."""

    _written: bytes | None = None

    async def handle(self, exchange: AsgiExchange) -> None:
        if self._written is None:
            from mock_server.openapi import openapi_document  # seldom needed

            self._written = to_json(openapi_document(__version__, self.state.settings.root_path))
        await exchange.send_json(200, self._written)
