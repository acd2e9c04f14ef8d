"""Whatever a client sends, drawing ends after the work that the budget allows."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mock_server.engine.author.drawing.budget import MAX_STEPS, Budget
from mock_server.engine.author.drawing.checking import Checker
from mock_server.engine.author.drawing.expressions import Expressions
from mock_server.engine.author.drawing.instances import InstanceDrawer
from mock_server.engine.author.drawing.problems import TooMuchWorkError, UndrawableError
from mock_server.engine.author.drawing.references import Document
from mock_server.engine.author.drawing.regex_drawing import RegexDrawer
from mock_server.engine.author.drawing.regex_matching import is_found
from mock_server.engine.author.drawing.regex_syntax import parse
from tests.support.hostile_schemas import EXPRESSIONS, SCHEMAS
from tests.unit.mock_server.engine.author.drawing.schema_strategies import documents

LIMIT_S = 1.5  # of processor time; it takes a tenth of that, and once took minutes


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


def test_all_draws_share_the_budget() -> None:
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


def test_an_attempt_may_spend_half_of_the_remaining_budget() -> None:
    budget = Budget(100)
    attempt = budget.half()
    with pytest.raises(TooMuchWorkError):
        attempt.step(51)
    budget.pay_for(attempt)
    assert budget.steps_left == 50


def test_each_repetition_that_is_drawn_is_counted() -> None:
    budget = Budget()
    RegexDrawer(parse("(?:ab|cd){1000}", Budget()), budget).draw(random.Random(0))
    assert budget.steps_spent >= 1_000


def test_each_character_that_is_drawn_is_counted() -> None:
    budget = Budget()
    RegexDrawer(parse("a{5000}", Budget()), budget).draw(random.Random(0))
    assert budget.characters_spent == 5_000


def test_the_search_for_a_length_is_counted_even_if_there_is_none() -> None:
    budget = Budget()
    assert RegexDrawer(parse("(?:aaa)*", Budget()), budget).draw_between(random.Random(0), 100, 100) is None
    assert budget.steps_spent >= 30


def test_each_repetition_that_is_matched_is_counted() -> None:
    budget = Budget()
    assert not is_found(parse("^(?:a|b)*c", Budget()), "ab" * 100, budget)
    assert budget.steps_spent >= 200


def test_each_value_that_is_checked_is_counted() -> None:
    budget = Budget()
    schema = {"items": {"type": "integer"}}
    checker = Checker(Document(schema, Budget()), Expressions(Budget()), budget)
    assert checker.is_valid(list(range(1_000)), schema)
    assert budget.steps_spent >= 1_000


@pytest.mark.parametrize(
    "schema", [{"type": "array", "minItems": 1_000, "items": {"type": "null"}}, {"type": "string", "minLength": 5_000}]
)
def test_a_size_above_the_budget_is_refused_before_anything_is_made(schema: Any) -> None:
    budget = Budget(steps=500, characters=500)
    with pytest.raises(TooMuchWorkError) as refused:
        InstanceDrawer(schema, budget).draw(random.Random(0))
    assert refused.value.where is None
    assert budget.characters_spent == 0


def test_a_recursion_with_many_branches_takes_little_work() -> None:
    """Close to the greatest depth, only the branches that end there are tried."""
    child = {"$ref": "#/$defs/expression"}
    nodes = [
        {
            "type": "object",
            "properties": {"kind": {"const": kind}, "first": child, "second": child, "third": child},
            "required": ["kind", "first", "second", "third"],
        }
        for kind in range(4)
    ]
    schema = {"$defs": {"expression": {"anyOf": [*nodes, {"type": "integer"}]}}, **child}
    for seed in range(20):
        InstanceDrawer(schema, Budget(2_500)).draw(random.Random(seed))
