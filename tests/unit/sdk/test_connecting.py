"""Connections that nobody takes: how often they are tried, and within which limits."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from sdk import AsyncInferenceClient, ConnectTimeoutError, InferenceClient, RetryPolicy, Timeouts, TotalTimeoutError
from sdk.errors import SDKError
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.wire import Peer
from tests.unit.sdk.api import CHAT

Client = InferenceClient | AsyncInferenceClient


class Door:
    """A port whose queue is full, so that who knocks hears nothing, until it is opened."""

    def __init__(self, stack: ExitStack) -> None:
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        for _ in range(64):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(self._listener.getsockname())
            except TimeoutError:
                waiting.close()
                return
        raise AssertionError("the queue of the port has no end")

    def open(self) -> None:
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(Peer(connection, 1),), daemon=True).start()

    @staticmethod
    def _answer(peer: Peer) -> None:
        while peer.read_request():
            peer.answer(CHAT)
        peer.close()


@pytest.fixture
def door() -> Iterator[Door]:
    with ExitStack() as stack:
        door = Door(stack)
        yield door
        door.close()


@dataclass(frozen=True, slots=True)
class Opening(RetryPolicy):
    """Opens the door before the call is tried again."""

    door: Door | None = None
    saw: list[type[SDKError]] = field(default_factory=list)

    def delay_s(self, error: SDKError, attempt: int, uniform: Callable[[float, float], float] = min) -> float | None:
        if self.door is not None and not self.saw:
            self.door.open()
        self.saw.append(type(error))
        return RetryPolicy.delay_s(self, error, attempt, uniform)


KINDS: dict[str, Callable[..., Client]] = {
    "sync": lambda *at, **how: InferenceClient(*at, **how),
    "sync-httpx": lambda *at, **how: InferenceClient(*at, transport=HttpxTransport(), **how),
    "async": lambda *at, **how: AsyncInferenceClient(*at, **how),
    "async-httpx": lambda *at, **how: AsyncInferenceClient(*at, transport=AsyncHttpxTransport, **how),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Callable[..., Client]:
    return KINDS[request.param]


def ask(client: Client) -> str:
    if isinstance(client, InferenceClient):
        with client:
            return client.chat("m", "q").choices[0].message.content
    return asyncio.run(client.chat("m", "q")).choices[0].message.content


def test_a_connection_that_is_late_is_tried_again(kind: Callable[..., Client], door: Door) -> None:
    policy = Opening(max_retries=10, base_delay_s=0.001, door=door)
    assert ask(kind(door.url, timeout=Timeouts(connect=0.5), retries=policy)) == "hi"
    assert set(policy.saw) == {ConnectTimeoutError}


def test_attempts_to_connect_are_counted(kind: Callable[..., Client], door: Door) -> None:
    limits = Timeouts(connect=0.1)
    with pytest.raises(ConnectTimeoutError, match=r"within 0\.1 s\n.* 3 attempts") as caught:
        ask(kind(door.url, timeout=limits, retries=RetryPolicy(base_delay_s=0.001)))
    assert caught.value.attempts == 3


def test_the_total_limit_ends_the_attempts(kind: Callable[..., Client], door: Door) -> None:
    limits = Timeouts(connect=0.3, total=0.7)
    with pytest.raises(TotalTimeoutError, match=r"longer than 0\.7 s"):
        ask(kind(door.url, timeout=limits, retries=RetryPolicy(max_retries=9, base_delay_s=0)))
