"""Connections that nobody accepts: the number of attempts, and the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from sdk import AsyncInferenceClient, ConnectTimeoutError, InferenceClient, RetryPolicy, Timeouts, TotalTimeoutError
from sdk.errors import SDKError
from sdk.transport.httpx import AsyncHttpxTransport, HttpxTransport
from tests.support.full_port import FullPort
from tests.support.wire import Peer
from tests.unit.sdk.api import CHAT

Client = InferenceClient | AsyncInferenceClient


@pytest.fixture
def door() -> Iterator[FullPort]:
    with ExitStack() as stack:
        yield FullPort(stack)


def answer(peer: Peer) -> None:
    while peer.read_request():
        peer.answer(CHAT)


@dataclass(frozen=True, slots=True)
class Opening(RetryPolicy):
    """Opens the door before the call is retried."""

    door: FullPort | None = None
    saw: list[type[SDKError]] = field(default_factory=list)

    def delay_s(self, error: SDKError, attempt: int, uniform: Callable[[float, float], float] = min) -> float | None:
        if self.door is not None and not self.saw:
            self.door.open(answer)
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


def test_a_late_connection_is_retried(kind: Callable[..., Client], door: FullPort) -> None:
    policy = Opening(max_retries=10, base_delay_s=0.001, door=door)
    assert ask(kind(door.url, timeout=Timeouts(connect=0.5), retries=policy)) == "hi"
    assert set(policy.saw) == {ConnectTimeoutError}


def test_attempts_to_connect_are_counted(kind: Callable[..., Client], door: FullPort) -> None:
    limits = Timeouts(connect=0.1)
    with pytest.raises(ConnectTimeoutError, match=r"within 0\.1 s\n.* 3 attempts") as caught:
        ask(kind(door.url, timeout=limits, retries=RetryPolicy(base_delay_s=0.001)))
    assert caught.value.attempts == 3


def test_the_total_limit_ends_the_attempts(kind: Callable[..., Client], door: FullPort) -> None:
    limits = Timeouts(connect=0.3, total=0.7)
    with pytest.raises(TotalTimeoutError, match=r"longer than 0\.7 s"):
        ask(kind(door.url, timeout=limits, retries=RetryPolicy(max_retries=9, base_delay_s=0)))
