"""The server that the bench starts for itself."""

from __future__ import annotations

import asyncio
import urllib.request

import pytest

from bench.load.embedded import ServerChoice, embedded_server


def test_the_embedded_server_ignores_the_key_of_the_users_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMGAUGE_API_KEY", "key")

    async def status() -> int:
        async with embedded_server(ServerChoice(), seed=1) as server:
            with await asyncio.to_thread(urllib.request.urlopen, f"{server.url}/models") as response:
                return int(response.status)

    assert asyncio.run(status()) == 200
