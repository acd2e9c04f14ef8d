"""An API that plays literal bytes by path, and the two ways to ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from sdk import (
    XRequestConfig,
    inference_client,
    inference_client_async,
)
from sdk.stream import AsyncStream, Stream
from tests.support.wire import HEADERS, Peer

CHAT = b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
TEXT = b'{"id":"t","choices":[{"index":0,"text":"hi","finish_reason":"stop"}]}'
PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


class Api:
    """Answers like an API, by path, and keeps the requests."""

    def __init__(self, **cards: bool | None) -> None:
        self.cards: dict[str, bool | None] = cards
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.chat: Callable[[Peer, Any], None] = lambda peer, body: (
            self.stream(peer) if body.get("stream") else peer.answer(CHAT)
        )
        self.completion: Callable[[Peer, Any], None] = lambda peer, body: peer.answer(TEXT)
        self.models: Callable[[Peer], None] = self._models

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    @property
    def body(self) -> Any:
        return self.asked[-1][2]

    def play(self, peer: Peer) -> None:
        while request := peer.read_request():
            head, _, body = request.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            path = first.split()[1].removeprefix("/v1")
            self.asked.append((path, headers, json.loads(body) if body else None))
            if path == "/models":
                self.models(peer)
            elif path == "/chat/completions":
                self.chat(peer, self.body)
            else:
                self.completion(peer, self.body)

    def _models(self, peer: Peer) -> None:
        cards = [{"id": name} | ({} if chat is None else {"is_chat": chat}) for name, chat in self.cards.items()]
        peer.answer(json.dumps({"object": "list", "data": cards}).encode())

    @staticmethod
    def stream(peer: Peer, *events: bytes) -> None:
        peer.send(HEADERS)
        for event in events or (PIECE, LAST, USAGE, DONE):
            peer.chunk(event)
        peer.end()


def error(status: str, message: str, **more: object) -> Callable[[Peer, Any], None]:
    body = json.dumps({"error": {"message": message, "param": None, "type": "x", "code": None} | more}).encode()
    return lambda peer, _: peer.answer(body, status)


def ask_sync(url: str, **arguments: Any) -> Any:
    answer = inference_client("m", "q", url=url, **arguments)
    return list(answer) if isinstance(answer, Stream) else answer


def ask_async(url: str, **arguments: Any) -> Any:
    async def ask() -> Any:
        answer = await inference_client_async("m", "q", url=url, **arguments)
        return [chunk async for chunk in answer] if isinstance(answer, AsyncStream) else answer

    return asyncio.run(ask())


STREAM = XRequestConfig(stream=True)
