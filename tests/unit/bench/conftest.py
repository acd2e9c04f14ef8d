"""What several tests of the bench are given."""

from __future__ import annotations

from functools import partial

import pytest

from tests.unit.bench.loads import WIRES, Drive, run_load


@pytest.fixture(params=WIRES)
def drive(request: pytest.FixtureRequest) -> Drive:
    """Runs a load over one wire and then the other."""
    return partial(run_load, request.param)
