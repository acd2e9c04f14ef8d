import random
from typing import Any

import pytest

from mock_server.engine.base import CallForm, StructuredOutput
from mock_server.engine.drawing.budget import MAX_STEPS, Budget
from mock_server.engine.errors import RequestRefusedError
from mock_server.engine.structured_text import CallListDrawer, StructuredWriter
from tests.support.hostile_schemas import SCHEMAS


def test_all_functions_of_a_request_share_one_budget() -> None:
    """Each that is tried takes its work out of what is left."""
    parameters = {"type": "object", "properties": {"a": SCHEMAS["many branches that cannot be"]}, "required": ["a"]}
    budget = Budget(MAX_STEPS)
    calls = [CallForm(f"f{number}", parameters, f"tools.{number}") for number in range(12)]
    with pytest.raises(RequestRefusedError):
        CallListDrawer(calls, budget).text(random.Random(1))
    assert budget.steps_left < MAX_STEPS / 100


@pytest.mark.parametrize("around", [lambda inner: inner, lambda inner: {"not": {"not": inner}}])
def test_a_very_long_chain_of_references_is_refused_in_words(around: Any) -> None:
    chain = {str(number): around({"$ref": f"#/$defs/{number + 1}"}) for number in range(400)}
    schema = {"$ref": "#/$defs/0", "$defs": {**chain, "400": {"type": "string"}}}
    writer = StructuredWriter(StructuredOutput("json", schema), Budget.for_answers(1))
    with pytest.raises(RequestRefusedError, match="nested too deeply"):
        writer.text(random.Random(1))
