"""Our sockets use TCP keep-alive, so that a peer that disappears is noticed."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from sdk.deadline import Timeouts
from tests.support.certificates import server_context
from tests.support.open_sockets import sockets_to
from tests.support.ways import TLS_WAYS, WAYS, Asker, Way, ask
from tests.support.wire import Peer, WireServer
from tests.unit.sdk.api import CHAT

OURS = [way for way in WAYS if way.is_ours]


def keep_alive_of(way: Way, server: WireServer, asked: threading.Event, go_on: threading.Event) -> list[Any]:
    """The options of the sockets that a call uses."""
    seen: list[Any] = []

    def look() -> None:
        asked.wait(10)
        for found in sockets_to(server.port):
            with found:
                options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
                options += [
                    (socket.IPPROTO_TCP, getattr(socket, name))
                    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
                ]
                seen.append([found.getsockopt(*option) for option in options])
        go_on.set()

    async def chat(asker: Asker) -> str:
        return await asker.chat()

    looker = threading.Thread(target=look)
    looker.start()
    assert ask(way, server.url, chat, timeout=Timeouts(total=30)) == "hi"
    looker.join()
    return seen


@pytest.mark.parametrize(
    ("way", "tls"),
    [(way, tls) for way in OURS for tls in (False, True) if not tls or way in TLS_WAYS],
    ids=lambda value: str(value) if isinstance(value, Way) else "tls" * value or "plain",
)
def test_a_peer_that_disappears_is_noticed_within_minutes(way: Way, tls: bool) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def play(peer: Peer) -> None:
        while peer.read_request():
            asked.set()
            go_on.wait(10)
            peer.answer(CHAT)

    with WireServer(play, server_context() if tls else None) as server:
        [[is_on, idle_s, interval_s, count]] = keep_alive_of(way, server, asked, go_on)
    assert is_on
    assert idle_s + interval_s * count <= 180


def test_a_given_client_keeps_its_own_options() -> None:
    for way in WAYS:
        if way.is_ours:
            continue
        asked, go_on = threading.Event(), threading.Event()

        def play(peer: Peer, asked: threading.Event = asked, go_on: threading.Event = go_on) -> None:
            while peer.read_request():
                asked.set()
                go_on.wait(10)
                peer.answer(CHAT)

        with WireServer(play) as server:
            [[is_on, *_]] = keep_alive_of(way, server, asked, go_on)
        assert (way.name, is_on) == (way.name, 0)
