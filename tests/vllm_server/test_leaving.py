"""Whoever leaves frees the engine: vLLM's own count of running requests goes back to nothing."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.server.wire import post, wait_until_idle, wait_until_running
from tests.support.serving import ServerProcess
from tests.vllm_server.asking import FRANCE, PARIS, ask

pytestmark = pytest.mark.vllm

ENDLESS = {"messages": [{"role": "user", "content": "Write a long story."}], "max_tokens": 1900, "ignore_eos": True}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["smollm2", "default-lora"])
def test_one_who_leaves(server: ServerProcess, http: httpx.Client, stream: bool, model: str) -> None:
    connection = post(server.root, {**ENDLESS, "stream": stream, "model": model})
    wait_until_running(http, 1)
    connection.close()
    wait_until_idle(http)


def test_fifty_who_leave_at_once(server: ServerProcess, http: httpx.Client) -> None:
    connections = [post(server.root, {**ENDLESS, "stream": bool(number % 2)}) for number in range(50)]
    wait_until_running(http, 50)
    for connection in connections:
        connection.close()
    wait_until_idle(http)
    assert ask(http, FRANCE) == PARIS


def test_fifty_who_leave_before_anything_came(server: ServerProcess, http: httpx.Client) -> None:
    for number in range(50):
        post(server.root, {**ENDLESS, "stream": bool(number % 2)}).close()
    wait_until_idle(http)
    assert ask(http, FRANCE) == PARIS
