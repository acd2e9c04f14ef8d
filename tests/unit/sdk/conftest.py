"""Fixtures of the tests of calls: each call is made sync and async."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.sdk.api import ask_async, ask_sync


@pytest.fixture(params=[ask_sync, ask_async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    ask: Callable[..., Any] = request.param
    return ask
