"""Tools: which are offered, which must be called, and calls that satisfy their schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from tests.contract.server.conftest import Facts
from tests.contract.server.wire import CHAT, QUESTION, chat, chat_events, refused, texts
from tests.support.serving import serving

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Of a city.", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now"}},
]
NAMED = {"type": "function", "function": {"name": "weather"}}


def gathered(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Calls as a client puts them together."""
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            for piece in choice["delta"].get("tool_calls", ()):
                call = calls.setdefault(piece["index"], {"id": piece.get("id"), "name": "", "arguments": ""})
                call["name"] += piece["function"].get("name", "")
                call["arguments"] += piece["function"].get("arguments", "")
    return [calls[index] for index in sorted(calls)]


@pytest.mark.parametrize("choice", [None, "auto", "required", NAMED], ids=["unsaid", "auto", "required", "named"])
def test_a_streamed_call_has_its_name_first_and_its_arguments_in_pieces(
    http: httpx.Client, facts: Facts, choice: object
) -> None:
    if not facts.makes_sense:
        pytest.skip("a model that writes calls in a known form is needed")
    body = {"tools": TOOLS[:1], "tool_choice": choice, "parallel_tool_calls": False, "seed": 3, "max_tokens": 200}
    chunks = chat_events(http, **body)
    pieces = [piece for chunk in chunks for piece in chunk["choices"][0]["delta"].get("tool_calls", ())]
    (whole,) = chat(http, **body)["choices"][0]["message"]["tool_calls"]
    assert pieces[0]["function"] == {"name": "weather", "arguments": ""}
    assert (pieces[0]["type"], pieces[0]["id"][:5]) == ("function", "call_")
    assert all(piece.keys() == {"index", "function"} and piece["index"] == 0 for piece in pieces[1:])
    assert all(piece["function"].keys() == {"arguments"} for piece in pieces[1:])
    written = [piece["function"]["arguments"] for piece in pieces[1:]]
    assert "".join(written) == whole["function"]["arguments"]
    assert len(written) > 5  # a token each
    jsonschema.validate(json.loads("".join(written)), WEATHER)


def test_several_streamed_calls_are_told_apart() -> None:
    said = """I will ask.
<tool_call>
{"name": "weather", "arguments": {"city": "a \\"}\\" b", "unit": "C"}}
</tool_call><tool_call>{"arguments": {}, "name": "now"}</tool_call>"""
    tokenizer = Tokenizer()

    def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
        for token_id in tokenizer.encode(said):
            yield TimedDelta(0.0, Delta(0, [token_id], None))
        yield TimedDelta(0.0, Delta(0, [tokenizer.eos_token_id], "stop"))

    with (
        serving(ScriptedEngine(script, RealClock(), tokenizer)) as served,
        httpx.Client(base_url=served.root) as http,
    ):
        chunks = chat_events(http, tools=TOOLS)
        message = chat(http, tools=TOOLS)["choices"][0]["message"]
    calls = gathered(chunks)
    assert [(call["name"], json.loads(call["arguments"])) for call in calls] == [
        ("weather", {"city": 'a "}" b', "unit": "C"}),
        ("now", {}),
    ]
    assert [call["arguments"] for call in calls] == [call["function"]["arguments"] for call in message["tool_calls"]]
    assert texts(chunks)[0] == message["content"] == "I will ask."
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_that_is_cut_off_is_told_as_far_as_it_came(http: httpx.Client, facts: Facts) -> None:
    if not facts.makes_sense:
        pytest.skip("a model that writes calls in a known form is needed")
    body = {"tools": TOOLS[:1], "seed": 3, "max_tokens": 18}
    chunks = chat_events(http, **body)
    (streamed,) = gathered(chunks)
    (choice,) = chat(http, **body)["choices"]
    assert choice["finish_reason"] == chunks[-1]["choices"][0]["finish_reason"] == "length"
    (whole,) = choice["message"]["tool_calls"]
    assert streamed["arguments"] == whole["function"]["arguments"]
    assert streamed["arguments"].startswith('{"')
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(streamed["arguments"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("choice", "finish_reason"), [(NAMED, "stop"), ("required", "tool_calls")])
def test_a_call_that_is_asked_for_satisfies_its_schema(
    http: httpx.Client, facts: Facts, choice: object, finish_reason: str, stream: bool
) -> None:
    if not facts.makes_sense:
        pytest.skip("within its grammar a model of random weights may write white space for ever")
    body = {"tools": TOOLS[:1], "tool_choice": choice, "max_tokens": 100, "parallel_tool_calls": False}
    if stream:
        chunks = chat_events(http, **body)
        (call,) = gathered(chunks)
        assert call["name"] == "weather"
        assert call["id"].startswith("call_")
        arguments = call["arguments"]
        ended = chunks[-1]["choices"][0]["finish_reason"]
        assert not "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    else:
        (found,) = chat(http, **body)["choices"]
        assert found["message"]["content"] is None
        (call,) = found["message"]["tool_calls"]
        assert call["type"] == "function"
        assert call["function"]["name"] == "weather"
        arguments = call["function"]["arguments"]
        ended = found["finish_reason"]
    jsonschema.validate(json.loads(arguments), WEATHER)
    assert ended == finish_reason


def test_a_named_function_is_called_by_every_model(http: httpx.Client) -> None:
    body = {"tools": TOOLS, "tool_choice": NAMED, "max_tokens": 30}
    (call,) = gathered(chat_events(http, **body))
    assert call["name"] == "weather"
    assert call["arguments"].startswith("{")
    (whole,) = chat(http, **body)["choices"][0]["message"]["tool_calls"]
    assert (whole["function"]["name"], whole["function"]["arguments"][0]) == ("weather", "{")


class TestOfItsOwnAccord:
    @pytest.fixture(autouse=True)
    def _knows_how_to_call(self, facts: Facts) -> None:
        if not facts.makes_sense:
            pytest.skip("a model that writes calls in a known form is needed")

    @pytest.mark.parametrize("choice", [None, "auto"])
    def test_the_model_calls_what_the_user_names(self, http: httpx.Client, choice: str | None) -> None:
        messages = [{"role": "user", "content": "call now, please"}]
        (found,) = chat(http, messages=messages, tools=TOOLS, tool_choice=choice)["choices"]
        (call,) = found["message"]["tool_calls"]
        assert (call["function"]["name"], found["finish_reason"]) == ("now", "tool_calls")
        chunks = chat_events(http, messages=messages, tools=TOOLS)
        (streamed,) = gathered(chunks)
        assert (streamed["name"], streamed["arguments"]) == ("now", call["function"]["arguments"])
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1] == "tool_calls"

    def test_it_speaks_again_when_it_has_its_result(self, http: httpx.Client) -> None:
        asked = {"role": "user", "content": "what is the weather?"}
        first = chat(http, messages=[asked], tools=TOOLS)["choices"][0]["message"]
        (call,) = first["tool_calls"]
        jsonschema.validate(json.loads(call["function"]["arguments"]), WEATHER)
        result = {"role": "tool", "tool_call_id": call["id"], "content": "20 C"}
        again = chat(http, messages=[asked, first, result], tools=TOOLS)["choices"][0]
        assert again["finish_reason"] == "stop"
        assert again["message"]["content"]
        assert "tool_calls" not in again["message"]

    def test_it_does_not_where_it_may_not(self, http: httpx.Client) -> None:
        silent = chat(http, tools=TOOLS, tool_choice="none", seed=1, max_tokens=9)["choices"]
        assert silent == chat(http, seed=1, max_tokens=9)["choices"]

    def test_thoughts_are_apart_from_the_content(self, http: httpx.Client) -> None:
        asked = {"chat_template_kwargs": {"enable_thinking": True}, "seed": 1}
        message = chat(http, **asked)["choices"][0]["message"]
        assert message["reasoning"] == message["reasoning_content"]
        assert "<think>" not in message["reasoning"] + message["content"]
        deltas = [chunk["choices"][0]["delta"] for chunk in chat_events(http, **asked)]
        thoughts = "".join(delta.get("reasoning_content", "") for delta in deltas)
        assert thoughts == message["reasoning"]
        assert "".join(delta.get("content", "") for delta in deltas) == message["content"]
        hidden = chat(http, **asked, include_reasoning=False)["choices"][0]["message"]
        assert hidden == {"role": "assistant", "content": message["content"], "refusal": None}

    def test_effort_makes_thoughts_longer_and_none_makes_none(self, http: httpx.Client) -> None:
        def thoughts(effort: str) -> str:
            message = chat(http, reasoning_effort=effort, seed=1)["choices"][0]["message"]
            return str(message.get("reasoning", ""))

        assert 0 < len(thoughts("low")) < len(thoughts("high"))
        assert thoughts("none") == ""


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": []}, "tools"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "always"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tools": TOOLS, "tool_choice": "required", "response_format": {"type": "json_object"}}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"tools": [{"type": "other", "function": {"name": "a"}}]}, "tools.0.type"),
    ],
)
def test_what_does_not_fit_is_refused(http: httpx.Client, fields: dict[str, object], param: str) -> None:
    assert refused(http, CHAT, {"messages": QUESTION, **fields})["param"] == param


def test_no_choice_and_no_tools_is_no_matter(http: httpx.Client) -> None:
    assert chat(http, tools=None, tool_choice=None, max_tokens=1)
    assert chat(http, tool_choice="none", max_tokens=1)
