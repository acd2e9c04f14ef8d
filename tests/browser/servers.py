"""Servers for the page to talk to: one that keeps what it is asked, and one that says anything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Recorder:
    """Passes everything on to an application, and keeps the bodies of generations.

    A question with the word `endless` gets an answer that takes longer than any test.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.bodies: list[dict[str, Any]] = []

    @property
    def last(self) -> dict[str, Any]:
        return self.bodies[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = json.loads(await Request(scope, receive).body())
        self.bodies.append(body)
        if "endless" in str(body.get("messages", [{}])[-1].get("content")):
            body = {**body, "max_tokens": 20_000, "min_tokens": 20_000, "ignore_eos": True}
        sent = json.dumps(body).encode()
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        messages: list[Message] = [{"type": "http.request", "body": sent, "more_body": False}]

        async def replayed() -> Message:
            return messages.pop() if messages else await receive()

        await self._app({**scope, "headers": [*headers, (b"content-length", b"%d" % len(sent))]}, replayed, send)


def odd_server() -> ASGIApp:
    """Says the last message word by word. A message of three digits is the status of the answer instead, and `break`
    breaks it off in the middle.
    """

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "parrot", "object": "model"}]})

    async def chat(request: Request) -> Response:
        said = (await request.json())["messages"][-1]["content"]
        if said.isdigit():
            error = {"message": f"<b>no</b> answer: {said}", "type": "test", "code": None}
            return JSONResponse({"error": error}, int(said))
        return StreamingResponse(_events(said), media_type="text/event-stream")

    routes = [Route("/v1/models", models), Route("/v1/chat/completions", chat, methods=["POST"])]
    return Starlette(routes=routes)


async def _events(said: str) -> AsyncIterator[str]:
    for word in said.split(" "):
        yield _event({"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None})
        if word == "break":
            return
    yield _event({"index": 0, "delta": {}, "finish_reason": "stop"})
    yield "data: [DONE]\n\n"


def _event(choice: dict[str, Any]) -> str:
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "parrot", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"
