"""Answers that never end, or that are made to cost whoever reads them: plays for `WireServer`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from time import sleep

from tests.support.gateway import MODELS, NOT_FOUND, answer, reply_json
from tests.support.wire import HEADERS, Peer

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_BLOCK = 60_000
_WHOLE_ANSWER = reply_json({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]})


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(payload: bytes) -> bytes:
    return b"data: %b\n\n" % payload


def _token(text: bytes) -> bytes:
    return _event(b'{"choices":[{"index":0,"delta":{"content":"%b"}}]}' % text)


def _many(piece: bytes) -> bytes:
    return piece * (_BLOCK // len(piece) + 1)


def _deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


# The bytes that each server sends first, and those that it then repeats for ever.
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "tokens, each a chunk": (HEADERS, _many(_chunk(_token(b"a")))),
    "tokens in large chunks": (HEADERS, _chunk(_many(_token(b"a")))),
    "empty deltas": (HEADERS, _chunk(_many(_token(b"")))),
    "events of a role alone": (HEADERS, _chunk(_many(_event(b'{"choices":[{"delta":{"role":"assistant"}}]}')))),
    "events of usage alone": (HEADERS, _chunk(_many(_event(b'{"choices":[],"usage":{"completion_tokens":0}}')))),
    "comments": (HEADERS, _chunk(_many(b": keep-alive\n\n"))),
    "blank lines": (HEADERS, _chunk(b"\n" * _BLOCK)),
    "one event": (HEADERS + _chunk(b"data: "), _chunk(b"a" * _BLOCK)),
    "one event of many lines": (HEADERS, _chunk(_many(b"data: a\n"))),
    "a whole answer": (WHOLE + _chunk(b'{"choices":[{"message":{"content":"'), _chunk(b"a" * _BLOCK)),
    "a whole answer of many small chunks": (WHOLE, _many(_chunk(b"a"))),
    "an error": (WHOLE.replace(b"200 OK", b"500 Oops"), _chunk(b"a" * _BLOCK)),
    "headers": (OK, _many(b"X-Header: value\r\n")),
    "one header": (OK + b"X-Header: ", b"a" * _BLOCK),
    "interim answers": (b"", _many(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "trailers": (HEADERS + _chunk(_token(b"a")) + b"0\r\n", _many(b"X-Trailer: value\r\n")),
    "one trailer": (HEADERS + _chunk(_token(b"a")) + b"0\r\nX-Trailer: ", b"a" * _BLOCK),
    "the size of a chunk": (HEADERS, b"0" * _BLOCK),
    "the extension of a chunk": (HEADERS + b"5;a=", b"a" * _BLOCK),
    "a chunk of 2**60 bytes": (HEADERS + b"1000000000000000\r\n", _many(b": keep-alive\n\n")),
    "a length of 2**60 bytes": (OK + b"Content-Length: 1152921504606846976\r\n\r\n", _many(b": keep-alive\n\n")),
}

# One event each, as the whole of a stream.
BOMBS: dict[str, bytes] = {
    "lists nested deeply": b'{"choices":[{"delta":{"content":"a"},"logprobs":%b}]}' % _deep(200_000),
    "an error nested deeply": b'{"error":%b}' % _deep(200_000),
    "an integer of 5,000 digits": b'{"choices":[{"delta":{"content":"a"},"index":%b}]}' % (b"9" * 5000),
    "a usage of 10**400": b'{"choices":[],"usage":{"completion_tokens":1%b}}' % (b"0" * 400),
    "a negative usage": b'{"choices":[],"usage":{"completion_tokens":-5,"prompt_tokens":-1}}',
    "NaN": b'{"choices":[],"usage":{"completion_tokens":NaN,"prompt_tokens":Infinity,"x":1e999}}',
    "an index of 10**9": b'{"choices":[{"index":1000000000,"delta":{"content":"a"}}]}',
    "half a character": rb'{"choices":[{"delta":{"content":"\ud800"},"finish_reason":"\udc00"}]}',
    "many lists": b'{"choices":[{"delta":{"tool_calls":[%b[]]}}]}' % (b"[]," * 300_000),
}


def endless(name: str, *, good: int = 0) -> Callable[[Peer], None]:
    """Answers prompts so after so many good answers."""
    first, again = ENDLESS[name]

    def send(peer: Peer) -> None:
        peer.send(first)
        while True:
            peer.send(again)

    return after(good, send)


def drip(peer: Peer) -> None:
    """A byte, and another one a little later."""
    peer.send(HEADERS)
    while True:
        peer.send(b"1\r\n:\r\n")
        sleep(0.1)


def bomb(name: str) -> Callable[[Peer], None]:
    """Answers prompts with one such event."""
    return after(0, lambda peer: peer.send(HEADERS + _chunk(_event(BOMBS[name])) + b"0\r\n\r\n"))


def after(good: int, play: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """A server that lists a model and gives so many good answers; the next ones are what `play` sends."""
    asked = itertools.count()

    def serve(peer: Peer) -> None:
        while request := peer.read_request():
            if request.startswith(b"GET"):
                peer.send(MODELS if request.startswith(b"GET /v1/models ") else NOT_FOUND)
            elif next(asked) < good:
                peer.send(answer(request) if b'"stream":true' in request else _WHOLE_ANSWER)
            else:
                play(peer)

    return serve
