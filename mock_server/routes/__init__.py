"""The server's routes, one module for each noun of the API."""

from starlette.routing import BaseRoute, Route

from ..state import ServerState
from .adapters import LoadAdapter, UnloadAdapter
from .chat import ChatCompletions
from .completions import Completions
from .models import Models, OneModel
from .operations import Health, Version
from .tokenize import Detokenize, Tokenize


def all_routes(state: ServerState) -> list[BaseRoute]:
    return [
        Route("/v1/chat/completions", ChatCompletions(state), methods=["POST"]),
        Route("/v1/completions", Completions(state), methods=["POST"]),
        Route("/v1/models", Models(state), methods=["GET"]),
        Route("/v1/models/{model_id:path}", OneModel(state), methods=["GET"]),
        Route("/v1/load_lora_adapter", LoadAdapter(state), methods=["POST"]),
        Route("/v1/unload_lora_adapter", UnloadAdapter(state), methods=["POST"]),
        Route("/tokenize", Tokenize(state), methods=["POST"]),
        Route("/detokenize", Detokenize(state), methods=["POST"]),
        Route("/health", Health(state), methods=["GET"]),
        Route("/version", Version(state), methods=["GET"]),
    ]
