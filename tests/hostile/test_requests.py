"""No request stops the server: while it works on one, another client's /health answers, and memory stays small.

The slow suite tries many more.
"""

from __future__ import annotations

import pytest

from tests.support.hostile_check import check
from tests.support.hostile_requests import LARGE, of_schemas
from tests.support.serving import ServerProcess

AT_ONCE = 3
SOME = (
    "a text of a gigabyte, as a format",
    "definitions that name the next twice in items, as a format",
    "many optional characters, as a format",
    "many parts, as a tool that is required",
    "many conditions, as a tool",
    "a long constant, as a tool",
    "a catastrophic expression, as an expression",
)
SOME_LARGE = (
    "a chat of 30 MB of words",
    "a chat of one word of 30 MB",
    "a role of 30 MB",
    "many messages",
    "a call of 28 MB",
    "a long wish",
    "as long forbidden words as may be",
    "many prompts",
    "deep nesting",
)


@pytest.mark.parametrize("name", SOME)
def test_schemas_and_expressions(server: ServerProcess, name: str) -> None:
    check(server, dict(of_schemas())[name], AT_ONCE)


@pytest.mark.parametrize("name", SOME_LARGE)
def test_large_bodies(server: ServerProcess, name: str) -> None:
    check(server, LARGE[name](), 1)
