"""Every hostile request that we know, and schemas that hypothesis makes up: others are served all the while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.health_probe import MemoryPeak, probing
from tests.support.hostile_check import LIMIT_MB, LIMIT_S, check, post, slowdown
from tests.support.hostile_requests import LARGE, of_schemas, schema_as_format, schema_as_tool
from tests.support.serving import ServerProcess, server_process
from tests.unit.mock_server.drawing.schema_strategies import documents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REQUESTS = dict(of_schemas())
AT_ONCE = 4


@pytest.fixture(
    scope="module", params=[["--profile", "demo"], ["--profile", "instant"], ["--engine", "scripted"]], ids=str
)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with server_process(*request.param, "--log-interval", "0") as found:
        yield found


@pytest.mark.parametrize("name", REQUESTS)
def test_schemas_and_expressions(server: ServerProcess, name: str) -> None:
    check(server, REQUESTS[name], AT_ONCE)


@pytest.mark.parametrize("name", LARGE)
def test_large_bodies(server: ServerProcess, name: str) -> None:
    check(server, LARGE[name](), 1)


def test_schemas_that_are_made_up(server: ServerProcess) -> None:
    @settings(max_examples=1_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(documents(), st.sampled_from(["format", "auto", "required"]))
    def ask(schema: Any, how: str) -> None:
        if not isinstance(schema, dict):
            schema = {"allOf": [schema]}
        request = schema_as_format(schema) if how == "format" else schema_as_tool(schema, how)
        assert post(server, request) in (200, 400)

    peak = MemoryPeak(server)
    with probing(server) as waits:
        ask()
    assert waits.worst_s < LIMIT_S * slowdown()
    assert peak.megabytes < LIMIT_MB
