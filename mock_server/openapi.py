"""The server's OpenAPI document, made from the models of its requests and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from mock_server.answer import bodies as answers
from mock_server.request import bodies as requests

Json = dict[str, Any]
Refs = Mapping[Any, Json]  # of a model and the mode of its schema

_TEXT = "text/plain"
_EVENTS = "text/event-stream"
_STATUSES = {
    400: "The body, a field or a value is not valid; `param` names the field.",
    401: "The API key is missing or wrong.",
    403: "The Host or Origin header is not allowed, or adapters cannot be loaded over the API.",
    404: "The model or adapter does not exist.",
    409: "The name is taken.",
    413: "The body is too large.",
    415: "The body is compressed.",
    429: "Too many requests are in progress.",
    500: "The engine failed the request, or the server has a defect.",
    503: "The engine cannot serve now, or the server is shutting down.",
}
_GENERATION = (400, 401, 403, 404, 413, 415, 429, 500, 503)
_READING = (400, 401, 403, 404, 413, 415, 500, 503)
_CHANGING = (400, 401, 403, 404, 409, 413, 415, 500, 503)


@dataclass(frozen=True, slots=True)
class _Operation:
    path: str
    method: str
    summary: str
    statuses: Sequence[int]
    request: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    """None: any JSON, or text if `is_text`."""
    event: type[BaseModel] | None = None
    """The model of a stream's events, if the route streams."""
    is_text: bool = False


_OPERATIONS = (
    _Operation("/v1/chat/completions", "post", "A chat's answer", _GENERATION, requests.ChatRequest,
               answers.ChatCompletion, answers.ChatCompletionChunk),
    _Operation("/v1/completions", "post", "A prompt's continuation", _GENERATION, requests.CompletionRequest,
               answers.Completion, answers.Completion),
    _Operation("/v1/models", "get", "The models served", (401,), answer=answers.ModelList),
    _Operation("/v1/models/{model_id}", "get", "One model", (401, 404), answer=answers.ModelCard),
    _Operation("/v1/load_lora_adapter", "post", "Load an adapter", _CHANGING,
               requests.LoadAdapterRequest, is_text=True),
    _Operation("/v1/unload_lora_adapter", "post", "Unload an adapter", _CHANGING,
               requests.UnloadAdapterRequest, is_text=True),
    _Operation("/tokenize", "post", "Text to tokens", _READING, requests.TokenizeRequest, answers.TokenizeResponse),
    _Operation("/detokenize", "post", "Tokens to text", _READING, requests.DetokenizeRequest,
               answers.DetokenizeResponse),
    _Operation("/health", "get", "Whether requests can be served, and the engine's counters", (503,)),
    _Operation("/ready", "get", "Whether requests can be served", (503,)),
    _Operation("/ping", "get", "Whether requests can be served", (503,), is_text=True),
    _Operation("/load", "get", "The number of generations in progress", ()),
    _Operation("/metrics", "get", "Metrics in Prometheus' text format", (), is_text=True),
    _Operation("/version", "get", "The server's version", ()),
)  # fmt: skip


def openapi_document(version: str, root_path: str = "") -> Json:
    schemas, refs = _schemas()
    paths: dict[str, Json] = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "streamgauge", "version": version},
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _schemas() -> tuple[Json, Refs]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(answers.ErrorBody, "validation")]
    for operation in _OPERATIONS:
        models = (operation.request, operation.answer, operation.event)
        wanted += [(model, "validation") for model in models if model is not None]
    refs, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template="#/components/schemas/{model}")
    return definitions["$defs"], refs


def _described(operation: _Operation, refs: Refs) -> Json:
    described: Json = {"summary": operation.summary, "responses": dict(_responses(operation, refs))}
    if "{model_id}" in operation.path:
        described["parameters"] = [{"name": "model_id", "in": "path", "required": True, "schema": {"type": "string"}}]
    if operation.request is not None:
        content = {"application/json": {"schema": refs[operation.request, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _responses(operation: _Operation, refs: Refs) -> Iterator[tuple[str, Json]]:
    answer = {"type": "string"} if operation.is_text else {}
    if operation.answer is not None:
        answer = refs[operation.answer, "validation"]
    content: Json = {_TEXT if operation.is_text else "application/json": {"schema": answer}}
    if operation.event is not None:
        content[_EVENTS] = {"schema": {"type": "string", "description": _events_in_words(operation.event)}}
    yield "200", {"description": "Done.", "content": content}
    failed = {"application/json": {"schema": refs[answers.ErrorBody, "validation"]}}
    for status in operation.statuses:
        yield str(status), {"description": _STATUSES[status], "content": failed}


def _events_in_words(event: type[BaseModel]) -> str:
    return f"Events, each `data: ` and a {event.__name__}; the last one is `data: [DONE]`."
