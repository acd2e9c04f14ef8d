"""Features that the simulated engines do not support are refused by name."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, refused
from tests.support.serving import serving


def body_of(path: str) -> dict[str, object]:
    return {"messages": QUESTION} if path == CHAT else {"prompt": "a"}


@pytest.fixture(scope="module")
def script_only() -> Iterator[httpx.Client]:
    """A server over a script of somebody's own: no author stands behind its tokens."""

    def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
        yield TimedDelta(0.0, Delta(0, [104], "length"))

    with (
        serving(ScriptedEngine(script, RealClock(), Tokenizer())) as served,
        httpx.Client(base_url=served.root) as http,
    ):
        yield http


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHAT, {"logprobs": True}),
        (COMPLETIONS, {"logprobs": 1}),
        (CHAT, {"response_format": {"type": "json_object"}}),
        (COMPLETIONS, {"structured_outputs": {"choice": ["a"]}}),
        (CHAT, {"logit_bias": {"5": 1}}),
        (CHAT, {"allowed_token_ids": [5]}),
        (CHAT, {"bad_words": ["no"]}),
        (CHAT, {"priority": 1}),
    ],
)
def test_a_feature_that_the_engine_lacks_is_refused_by_name(
    script_only: httpx.Client, path: str, fields: dict[str, object], stream: bool
) -> None:
    error = refused(script_only, path, {**body_of(path), **fields, "stream": stream})
    assert (error["param"], error["code"]) == (next(iter(fields)), "unsupported_parameter")
    assert "engine does not support" in error["message"]


@pytest.mark.parametrize("engine_name", ["sim", "scripted"], indirect=True, scope="session")
@pytest.mark.parametrize("constraint", [{"grammar": 'root ::= "a"'}, {"structural_tag": "{}"}])
def test_constraints_that_the_simulated_model_cannot_keep(http: httpx.Client, constraint: dict[str, object]) -> None:
    error = refused(http, COMPLETIONS, {"prompt": "a", "structured_outputs": constraint})
    assert error["param"] == "structured_outputs"
    assert "simulated engine does not support" in error["message"]
