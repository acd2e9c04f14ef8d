"""A small OpenAI-compatible server of literal bytes: each route answers with what a test gives it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from tests.support.wire import HEADERS, Peer

Reply = Callable[[bytes], bytes]
Route = bytes | Reply

_LENGTH = re.compile(rb'"max_(?:completion_)?tokens":(\d+)')


def reply(body: bytes, status: str = "200 OK", headers: str = "Content-Type: application/json") -> bytes:
    """A whole response with a length."""
    return f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def reply_json(content: object, status: str = "200 OK") -> bytes:
    return reply(json.dumps(content).encode(), status)


def events(*payloads: bytes) -> bytes:
    """A whole stream of server-sent events."""
    blocks = [b"data: %b\n\n" % payload for payload in payloads]
    return HEADERS + b"".join(b"%x\r\n%b\r\n" % (len(block), block) for block in blocks) + b"0\r\n\r\n"


def answer(request: bytes) -> bytes:
    """A good answer of the length that the request asks for, as a stream."""
    found = _LENGTH.search(request)
    length = int(found[1]) if found else 3
    token = b'{"choices":[{"index":0,"delta":{"content":"a"}}]}'
    last = b'{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}'
    usage = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":%d}}' % length
    return events(*[token] * length, last, usage, b"[DONE]")


MODELS = reply_json({"data": [{"id": "m"}]})
NOT_FOUND = reply_json({"detail": "Not Found"}, "404 Not Found")
CHAT, COMPLETIONS = "POST /v1/chat/completions", "POST /v1/completions"


def gateway(routes: Mapping[str, Route], seen: list[bytes] | None = None) -> Callable[[Peer], None]:
    """What a `WireServer` plays: routes by method and path, 404 for others; `seen` collects the requests."""
    known: dict[str, Route] = {"GET /v1/models": MODELS, **routes}

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            if seen is not None:
                seen.append(request)
            line = request.partition(b" HTTP/1.1")[0].decode()
            route = known.get(line, NOT_FOUND)
            data = route if isinstance(route, bytes) else route(request)
            peer.send(data)
            if b"Content-Length" not in data and b"chunked" not in data:
                return

    return play


def with_metrics(metrics: bytes) -> Callable[[Peer], None]:
    """Answers everything well, and GET /metrics with the given bytes."""

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            if request.startswith(b"GET /metrics "):
                peer.send(metrics)
            elif request.startswith(b"GET"):
                peer.send(MODELS if request.startswith(b"GET /v1/models ") else NOT_FOUND)
            else:
                peer.send(answer(request))

    return play
