"""A server that never stops sending: each call ends in a typed error, its connection closed and its memory small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.endless_kinds import ALL, HEADS, STREAMS, WHOLE, endless_server

ROOT = Path(__file__).parents[2]
MOST_MB = 150
# A proxy's requests do not carry the path by which the server knows what to send.
WAYS = ["direct-sync", "direct-asyncio", "direct-uvloop", "httpx2-sync", "httpx2-asyncio", "httpx2-trio"]
GIVEN = ["given-httpx-sync", "given-httpx-asyncio", "given-httpx-trio", "given-httpx2-sync", "given-httpx2-asyncio"]
# httpx hands over each chunk by itself: chunks of some bytes come so slowly that a time limit must end them.
BY_BYTES = {"one event by bytes", "whole answer by bytes"}
QUICK = ["whole answer", "list of models", "trailers", "interim answers", "comments", "text"]
SHARES = 4
EXPECTED = {"AnswerTooLargeError", "ProtocolError", "BadRequestError"}


def ended(way: str, *names: str) -> dict[str, dict[str, Any]]:
    """How each ends, asked for by a process of its own."""
    with endless_server() as server:
        program = [sys.executable, "-m", "tests.support.endless_kinds", way, f"http://127.0.0.1:{server.port}", *names]
        done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    return {found["name"]: found for found in map(json.loads, done.stdout.splitlines())}


def check(ends: dict[str, dict[str, Any]], names: set[str]) -> None:
    assert set(ends) == names
    assert {name: end for name, end in ends.items() if end["error"] not in EXPECTED} == {}
    assert {name: end for name, end in ends.items() if end["peak_mb"] >= MOST_MB} == {}
    assert {name: end for name, end in ends.items() if end["open"]} == {}


def share(way: str, kind: dict[str, Any]) -> set[str]:
    """All for a way of our own. Those through a library share the limits: each kind is tested on two of them."""
    if way.startswith("direct"):
        return set(kind)
    number = [other for other in WAYS + GIVEN if not other.startswith("direct")].index(way)
    return set(list(kind)[number % SHARES :: SHARES]) - BY_BYTES


@pytest.mark.parametrize("way", ["direct-sync", "direct-asyncio", "httpx2-asyncio"])
def test_what_never_ends_is_ended(way: str, record_property: Any) -> None:
    ends = ended(way, *QUICK)
    record_property("memory of an SDK client", max(end["peak_mb"] for end in ends.values()))
    check(ends, set(QUICK))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS + GIVEN)
@pytest.mark.parametrize("kind", [WHOLE, HEADS, STREAMS], ids=["whole", "heads", "streams"])
def test_no_endless_answer_takes_memory_or_leaves_a_connection(
    way: str, kind: dict[str, Any], record_property: Any
) -> None:
    names = share(way, kind)
    ends = ended(way, *names)
    record_property("memory of an SDK client", max(end["peak_mb"] for end in ends.values()))
    check(ends, names)


def test_the_kinds_have_different_names() -> None:
    assert len(ALL) == len(WHOLE) + len(HEADS) + len(STREAMS)
