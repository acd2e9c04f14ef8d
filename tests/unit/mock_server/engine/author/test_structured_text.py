from __future__ import annotations

import gc
import random
from typing import Any

import pytest

from mock_server.engine.author.drawing.budget import MAX_STEPS, Budget
from mock_server.engine.author.drawing.problems import TooMuchWorkError
from mock_server.engine.author.structured_text import CallListDrawer, StructuredWriter
from mock_server.engine.base import CallForm, StructuredOutput
from mock_server.engine.errors import RequestRefusedError
from tests.support.hostile_schemas import SCHEMAS


def test_all_functions_of_a_request_share_one_budget() -> None:
    """Each function that is tried takes its work from the remaining budget."""
    parameters = {"type": "object", "properties": {"a": SCHEMAS["many branches that cannot be"]}, "required": ["a"]}
    budget = Budget(MAX_STEPS)
    calls = [CallForm(f"f{number}", parameters, f"tools.{number}") for number in range(12)]
    with pytest.raises(RequestRefusedError):
        CallListDrawer(calls, budget).text(random.Random(1))
    assert budget.steps_left < MAX_STEPS / 100


@pytest.mark.parametrize("around", [lambda inner: inner, lambda inner: {"not": {"not": inner}}])
def test_a_very_long_chain_of_references_is_refused_with_a_message(around: Any) -> None:
    chain = {str(number): around({"$ref": f"#/$defs/{number + 1}"}) for number in range(400)}
    schema = {"$ref": "#/$defs/0", "$defs": {**chain, "400": {"type": "string"}}}
    writer = StructuredWriter(StructuredOutput("json", schema), Budget.for_answers(1))
    with pytest.raises(RequestRefusedError, match="nested too deeply"):
        writer.text(random.Random(1))


LONG_PATTERN = "[a-z]b" * 8_000 + "(((a*)*)*)*c(?=d)"
LONG_PARAMETERS = {"type": "object", "properties": {"a": {"pattern": LONG_PATTERN}}, "required": ["a"]}


@pytest.mark.parametrize(("steps", "is_trial"), [(1_500, True), (31_500, False)], ids=["trial", "thread"])
@pytest.mark.parametrize(
    "wanted",
    [
        StructuredOutput("regex", "(((a*)*)*)*b(?=c)"),
        StructuredOutput("regex", '{"a":' * 5_000),
        StructuredOutput("json", LONG_PARAMETERS),
        StructuredOutput("json", {}, calls=(CallForm("f", LONG_PARAMETERS, "tools.0"),)),
    ],
    ids=["expression", "long expression", "schema", "function"],
)
def test_refused_work_leaves_nothing_for_the_garbage_collector(
    wanted: StructuredOutput, steps: int, is_trial: bool
) -> None:
    """Garbage collection stops every thread, for a tenth of a second if the trees of several requests are cycles."""
    writer = StructuredWriter(wanted, Budget(steps, is_trial=is_trial))
    gc.collect()
    gc.disable()
    try:
        with pytest.raises((TooMuchWorkError, RequestRefusedError)) as raised:
            writer.text(random.Random(1))
        del raised, writer
        assert gc.collect() == 0
    finally:
        gc.enable()
