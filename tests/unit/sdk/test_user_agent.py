"""The User-Agent of the client, which a caller may replace."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

import sdk
from sdk import InferenceClient, XRequestConfig
from sdk.transport.httpx import HttpxTransport
from tests.support.wire import WireServer
from tests.unit.sdk.api import Api

OURS = f"streamgauge/{sdk.__version__}"


@pytest.mark.parametrize("stream", [False, True])
def test_every_request_names_the_client_and_its_version(ask: Callable[..., Any], stream: bool) -> None:
    assert re.fullmatch(r"streamgauge/\d+\.\d+\.\d+\S*", OURS)
    api = Api(m=True)
    with WireServer(api.play) as server:
        ask(server.url, request_config=XRequestConfig(stream=stream))
    assert [headers["user-agent"] for _, headers, _ in api.asked] == [OURS] * 2


def test_the_callers_user_agent_replaces_it() -> None:
    api = Api(m=True)
    with WireServer(api.play) as server, InferenceClient(server.url, headers={"user-agent": "mine/1"}) as client:
        client.chat("m", "q")
        client.chat("m", "q", extra_headers={"USER-AGENT": "mine/2"})
    assert [headers["user-agent"] for _, headers, _ in api.asked] == ["mine/1", "mine/2"]


@pytest.mark.parametrize("kind", [httpx.Client, httpx2.Client])
def test_the_user_agent_of_an_injected_client_replaces_it(kind: Callable[..., Any]) -> None:
    api = Api(m=True)
    with WireServer(api.play) as server, kind() as plain, kind(headers={"User-Agent": "mine/1"}) as named:
        InferenceClient(server.url, transport=HttpxTransport(plain)).chat("m", "q")
        InferenceClient(server.url, transport=HttpxTransport(named)).chat("m", "q")
        client = InferenceClient(server.url, transport=HttpxTransport(named), headers={"User-Agent": "mine/2"})
        client.chat("m", "q")
    assert [headers["user-agent"] for _, headers, _ in api.asked] == [OURS, "mine/1", "mine/2"]
