"""The server's routes: one module for each noun of the API."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from mock_server.routes.adapters import LoadAdapter, UnloadAdapter
from mock_server.routes.chat import ChatCompletions
from mock_server.routes.completions import Completions
from mock_server.routes.endpoint import Endpoint
from mock_server.routes.models import Models, OneModel
from mock_server.routes.operations import Description, Health, Load, Metrics, Ping, Ready, Version
from mock_server.routes.tokenize import Detokenize, Tokenize
from mock_server.state import ServerState

_GET, _POST = ("GET",), ("POST",)
_ROUTES: tuple[tuple[str, type[Endpoint], tuple[str, ...]], ...] = (
    ("/v1/chat/completions", ChatCompletions, _POST),
    ("/v1/completions", Completions, _POST),
    ("/v1/models", Models, _GET),
    ("/v1/models/{model_id:path}", OneModel, _GET),
    ("/v1/load_lora_adapter", LoadAdapter, _POST),
    ("/v1/unload_lora_adapter", UnloadAdapter, _POST),
    ("/tokenize", Tokenize, _POST),
    ("/detokenize", Detokenize, _POST),
    ("/health", Health, _GET),
    ("/ping", Ping, (*_GET, *_POST)),
    ("/ready", Ready, _GET),
    ("/load", Load, _GET),
    ("/metrics", Metrics, _GET),
    ("/version", Version, _GET),
    ("/openapi.json", Description, _GET),
)


def all_routes(state: ServerState) -> list[BaseRoute]:
    return [Route(path, endpoint(state, path), methods=list(methods)) for path, endpoint, methods in _ROUTES]
