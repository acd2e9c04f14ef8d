"""What the simulated engines do not do is refused by name."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, refused

pytestmark = pytest.mark.parametrize("engine_name", ["sim", "scripted"], indirect=True, scope="session")


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
def test_an_engine_that_cannot_says_so(http: httpx.Client, path: str, fields: dict[str, object], stream: bool) -> None:
    body = {"messages": QUESTION} if path == CHAT else {"prompt": "a"}
    error = refused(http, path, {**body, **fields, "stream": stream})
    assert (error["param"], error["code"]) == (next(iter(fields)), "unsupported_parameter")
    assert "engine does not do" in error["message"]
