"""Requests with hostile fields, several at a time: each answer is well-formed, and other clients do not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzed_server import EXAMPLES, INSTANT, SERVERS, FuzzedServer, fuzzed_server, fuzzing, servers
from tests.support.hostile_places import at_each_place
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


def place_each(fuzzed: FuzzedServer, report: Report, step: int) -> None:
    """Every `step`th request of those with one hostile value at one place; FUZZ_EXAMPLES times as many."""

    def fuzz() -> None:
        calls = islice(at_each_place(), fuzzed.number, None, max(1, int(step / EXAMPLES)))
        while batch := list(islice(calls, 64)):
            fuzzed.ask_all(batch)

    fuzzed.stays_sound(fuzz, report)


def test_some_hostile_values_at_some_places(fuzzed: FuzzedServer, record_property: Report) -> None:
    place_each(fuzzed, record_property, 61)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_hostile_value_at_each_place(tmp_path: Path, record_property: Report) -> None:
    with fuzzed_server(INSTANT, tmp_path) as fuzzed:
        place_each(fuzzed, record_property, 1)


def test_hostile_fields(fuzzed: FuzzedServer, record_property: Report) -> None:
    run(fuzzed, record_property, 10)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_hostile_fields(fuzzed: FuzzedServer, record_property: Report) -> None:
    run(fuzzed, record_property, 150)
