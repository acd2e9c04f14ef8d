"""Where a server may send the SDK: redirects are not followed, whatever the client does, and no cookie is kept."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httpx
import httpx2
import pytest

from sdk import AsyncInferenceClient, InferenceClient, ProtocolError, RetryPolicy
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.ways import WAYS, Asker, Way, ask, everywhere
from tests.support.wire import Peer, WireServer
from tests.unit.sdk.api import CHAT

OPTIONS: dict[str, Any] = {"retries": RetryPolicy(0), "timeout": 20}
ENDLESS = b"HTTP/1.1 307 Go\r\nLocation: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
PLACES = ("/v1/elsewhere", "http://127.0.0.1:9/v1/chat/completions", "file:///etc/passwd", "http://[", "//", "\x7f")


def _following(module: Any, *, is_sync: bool) -> Way:
    def open_it(url: str, **options: Any) -> Asker:
        if is_sync:
            client = module.Client(follow_redirects=True)
            return Asker(InferenceClient(url, transport=HttpxTransport(client), **options), client)
        client = module.AsyncClient(follow_redirects=True)
        return Asker(AsyncInferenceClient(url, transport=partial(AsyncHttpxTransport, client), **options), client)

    run = next(way.run for way in WAYS if way.name == "direct-sync") if is_sync else asyncio.run
    return Way(f"following-{module.__name__}-{'sync' if is_sync else 'asyncio'}", run, open_it, is_ours=False)


FOLLOWING = [_following(module, is_sync=is_sync) for module in (httpx, httpx2) for is_sync in (True, False)]


async def whole(asker: Asker) -> Any:
    return await asker.chat()


async def streamed(asker: Asker) -> Any:
    return await asker.read_all()


async def models(asker: Asker) -> Any:
    return await asker.models()


# httpx2 leaves its own inner generators to the garbage collector when a response is left early; trio remarks on it
@pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object")
@pytest.mark.parametrize(
    ("program", "place"), [*((whole, place) for place in PLACES), (streamed, PLACES[0]), (models, PLACES[0])]
)
def test_no_redirect_is_followed_and_no_endless_body_of_one_is_read(place: str, program: Any) -> None:
    asked: list[bytes] = []

    def play(peer: Peer) -> None:
        asked.append(peer.read_request().split()[1])
        peer.send(ENDLESS % place.encode())
        while True:
            peer.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    with WireServer(play) as server:
        for way, error in everywhere(server.url, program, WAYS + FOLLOWING, **OPTIONS).items():
            assert isinstance(error, ProtocolError), (way, error)
    assert not [target for target in asked if b"elsewhere" in target or b"passwd" in target]
    assert len(asked) == len(WAYS + FOLLOWING)


def test_no_cookie_of_a_server_is_sent_back() -> None:
    heads: list[bytes] = []

    def play(peer: Peer) -> None:
        while request := peer.read_request():
            heads.append(request.lower())
            peer.answer(CHAT, headers="Content-Type: application/json\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: c=d")

    async def twice(asker: Asker) -> Any:
        return await asker.chat() + await asker.chat()

    with WireServer(play) as server:
        for way in WAYS:
            if way.is_ours:
                assert ask(way, server.url, twice, **OPTIONS) == "hihi", way
    assert len(heads) == 2 * len([way for way in WAYS if way.is_ours])
    assert not [head for head in heads if b"cookie:" in head]
