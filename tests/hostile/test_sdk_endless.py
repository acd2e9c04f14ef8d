"""Whatever a server sends without end, the SDK ends the call with an error of its own, and its memory stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

import sdk
from tests.support.endless_answers import endless_server
from tests.support.serving import ROOT
from tests.support.wire import WireServer

MOST_MB = 150
SOME = ("whole answer", "headers", "trailers", "extension of a chunk", "comments", "one event", "text")


@pytest.fixture(scope="module")
def server() -> Iterator[WireServer]:
    with endless_server() as found:
        yield found


def check(server: WireServer, way: str, name: str, report: Callable[[str, object], None]) -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "tests.support.endless_answers", way, server.url.removesuffix("/v1"), name],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        check=True,
    )
    told = json.loads(asked.stdout)
    report("client memory", told["peak_mb"])
    assert issubclass(getattr(sdk, told["error"], int), sdk.SDKError), told
    assert told["open"] == 0, told
    assert told["peak_mb"] < MOST_MB, told


@pytest.mark.parametrize("name", SOME)
def test_some_endless_answers(server: WireServer, name: str, record_property: Callable[[str, object], None]) -> None:
    check(server, "direct-asyncio", name, record_property)
