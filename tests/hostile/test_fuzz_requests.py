"""Requests with hostile fields, several at the same time: each gets a proper answer, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzed_server import INSTANT, SERVERS, FuzzedServer, fuzzed_server, fuzzing, servers
from tests.support.hostile_strategies import Call, calls

Report = Callable[[str, object], None]


@pytest.fixture(scope="module", params=servers(*SERVERS, fast=INSTANT))
def fuzzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedServer]:
    with fuzzed_server(request.param, tmp_path_factory.mktemp("fuzz")) as found:
        yield found


def run(fuzzed: FuzzedServer, report: Report, examples: int) -> None:
    @fuzzing(examples)
    @given(st.lists(calls(), min_size=1, max_size=8))
    def fuzz(together: list[Call]) -> None:
        fuzzed.ask_all(together)
        fuzzed.check_log()

    fuzzed.stays_sound(fuzz, report)


def test_hostile_fields(fuzzed: FuzzedServer, record_property: Report) -> None:
    run(fuzzed, record_property, 10)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_hostile_fields(fuzzed: FuzzedServer, record_property: Report) -> None:
    run(fuzzed, record_property, 150)
