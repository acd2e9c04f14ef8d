"""Whatever a client sends, drawing ends after the work that the budget allows."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mock_server.engine.drawing.budget import MAX_STEPS, Budget
from mock_server.engine.drawing.expressions import Expressions
from mock_server.engine.drawing.instances import InstanceDrawer
from mock_server.engine.drawing.problems import TooMuchWorkError, UndrawableError
from tests.support.hostile_schemas import EXPRESSIONS, SCHEMAS
from tests.unit.mock_server.drawing.schema_strategies import documents

LIMIT_S = 1.5  # of processor time; it takes a tenth of that, and took minutes


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_hostile_schema_is_drawn_or_refused_soon(name: str) -> None:
    began = time.thread_time()
    with contextlib.suppress(UndrawableError):
        InstanceDrawer(SCHEMAS[name], Budget()).draw(random.Random(1))
    assert time.thread_time() - began < LIMIT_S


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_hostile_expression_is_drawn_or_refused_soon(name: str) -> None:
    began = time.thread_time()
    with contextlib.suppress(UndrawableError):
        Expressions(Budget()).draw(EXPRESSIONS[name], random.Random(1), whole=True)
    assert time.thread_time() - began < LIMIT_S


@given(documents(), st.integers(0, 300))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_work_ends_within_the_steps_whatever_the_schema(schema: Any, steps: int) -> None:
    budget = Budget(steps)
    with contextlib.suppress(UndrawableError):
        InstanceDrawer(schema, budget).draw(random.Random(0))
    assert budget.steps_spent <= steps


def test_the_budget_is_shared_by_all_that_is_drawn_from_it() -> None:
    drawer = InstanceDrawer({"type": "array", "items": {"type": "integer"}, "minItems": 500}, Budget())
    with pytest.raises(TooMuchWorkError, match="more work"):
        for _ in range(MAX_STEPS):
            drawer.draw(random.Random(0))


def test_text_is_counted_before_it_is_written() -> None:
    budget = Budget(characters=100)
    budget.write(60)
    with pytest.raises(TooMuchWorkError, match="more text"):
        budget.write(41)
    budget.write(40)
    assert budget.characters_spent == 100


def test_an_attempt_may_spend_half_of_what_is_left() -> None:
    budget = Budget(100)
    attempt = budget.half()
    with pytest.raises(TooMuchWorkError):
        attempt.step(51)
    budget.pay_for(attempt)
    assert budget.steps_left == 50
