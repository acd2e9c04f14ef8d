"""A stream adds up to the whole answer, however an engine splits its tokens into deltas."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import Delta, PositionLogprobs, TokenLogprob
from mock_server.engine.sim.clock import RealClock
from mock_server.engine.sim.scripted import ScriptedEngine, ScriptedRequest, TimedDelta
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, answer, events
from tests.support.serving import serving

TOKENIZER = Tokenizer()
EOS = TOKENIZER.eos_token_id
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in ("f", "g")]
NAMED = {"type": "function", "function": {"name": "f"}}
FRAGMENTS = (
    "<think>", "\n", "</think>", "\n\n", "hm", " ", "yes", "<tool_call>", "}",
    '{"name": "f", "arguments": ', '{"a": 1}', "</tool_call>", '[{"name": "g", "parameters": {"a": 2}}',
    ", ", "]", "Zürich 😀", "杭州", "<", "STOP", "ST", "OP",
)  # fmt: skip

plans: dict[int, list[Delta]] = {}


def script(request: ScriptedRequest) -> Iterator[TimedDelta]:
    plan = plans[request.params.seed or 0]
    for number, delta in enumerate(plan):
        yield TimedDelta(number * 0.1e-3, delta)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    engine = ScriptedEngine(script, RealClock(), TOKENIZER, author=Author(TOKENIZER, "sim-chat"))
    with serving(engine) as served, httpx.Client(base_url=served.root, timeout=60) as client:
        yield client


def _likely(token_id: int) -> PositionLogprobs:
    token = TokenLogprob(token_id, -0.5, 1)
    return PositionLogprobs(token, [token, TokenLogprob(65, -1.5, 2)])


@st.composite
def choice_deltas(draw: st.DrawFn, choice: int, *, likely: bool) -> list[Delta]:
    """One choice's tokens, cut anywhere, with deltas of nothing between, and a finish reason wherever one can be."""
    texts = draw(st.lists(st.sampled_from(FRAGMENTS), max_size=12))
    token_ids = TOKENIZER.encode("".join(texts))
    if draw(st.booleans()):  # ends within a character
        token_ids += list("😀".encode())[: draw(st.integers(1, 3))]
    reason = draw(st.sampled_from(["stop", "length"]))
    if reason == "stop" and draw(st.booleans()):
        token_ids.append(EOS)
    cuts = sorted(draw(st.lists(st.integers(0, len(token_ids)), max_size=8)))
    pieces = [token_ids[start:end] for start, end in itertools.pairwise([0, *cuts, len(token_ids)])]
    ends_alone = draw(st.booleans())
    deltas = [
        Delta(choice, piece, None, [_likely(token_id) for token_id in piece] if likely else None) for piece in pieces
    ]
    if ends_alone:
        deltas.append(Delta(choice, [], reason))
    else:
        deltas[-1] = deltas[-1]._replace(finish_reason=reason)
    if draw(st.booleans()):
        deltas.append(Delta(choice, [65], draw(st.sampled_from([None, "stop"]))))  # too late: no part of the answer
    return deltas


@st.composite
def plan_of(draw: st.DrawFn, *, likely: bool) -> tuple[int, list[Delta]]:
    """How many choices, and their deltas in some order."""
    count = draw(st.integers(1, 3))
    waiting = [draw(choice_deltas(choice, likely=likely)) for choice in range(count)]
    plan = []
    while any(waiting):
        turn = draw(st.sampled_from([number for number, deltas in enumerate(waiting) if deltas]))
        plan.append(waiting[turn].pop(0))
    return count, plan


def ask(
    http: httpx.Client, path: str, plan: list[Delta], body: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same answer whole, and as the sum of a stream."""
    seed = len(plans) + 1
    plans[seed] = plan
    body = {**body, "seed": seed, "return_token_ids": True}
    whole = answer(http, path, body)
    chunks = events(http, path, {**body, "stream_options": {"include_usage": True}})
    choices = [summed(chunks, index) for index in range(len(whole["choices"]))]
    return whole, {"choices": choices, "usage": chunks[-1]["usage"]}


def summed(chunks: list[dict[str, Any]], index: int) -> dict[str, Any]:
    """One choice as a client puts it together."""
    found: dict[str, Any] = {"index": index, "token_ids": [], "finish_reason": None, "logprobs": {}, "calls": {}}
    for chunk in chunks:
        for choice in chunk["choices"]:
            if choice["index"] != index:
                continue
            assert found["finish_reason"] is None, "an event after the last one"
            found["finish_reason"] = choice["finish_reason"]
            found["token_ids"] += choice.get("token_ids", [])
            for name, entries in (choice["logprobs"] or {}).items():
                found["logprobs"].setdefault(name, []).extend(entries or [])
            delta = choice.get("delta", {"text": choice.get("text")})
            for name in ("text", "content", "reasoning"):
                found[name] = found.get(name, "") + (delta.get(name) or "")
            for piece in delta.get("tool_calls", ()):
                call = found["calls"].setdefault(piece["index"], ["", ""])
                call[0] += piece["function"].get("name", "")
                call[1] += piece["function"].get("arguments", "")
    return found


def check_usage(whole: dict[str, Any], stream: dict[str, Any]) -> None:
    assert whole["usage"] == stream["usage"]
    assert whole["usage"]["completion_tokens"] == sum(len(choice["token_ids"]) for choice in whole["choices"])


def check_likelihoods(whole: dict[str, Any], stream: dict[str, Any]) -> None:
    entries = {name: found for name, found in (whole["logprobs"] or {}).items() if found}
    assert entries == {name: found for name, found in stream["logprobs"].items() if found}


READINGS: Sequence[dict[str, Any]] = (
    {},
    {"tools": TOOLS},
    {"tools": TOOLS, "tool_choice": "required"},
    {"tools": TOOLS, "tool_choice": NAMED},
    {"tools": TOOLS, "parallel_tool_calls": False, "reasoning_effort": "low"},
    {"reasoning_effort": "low"},
    {"reasoning_effort": "low", "include_reasoning": False},
)
ENDINGS: Sequence[dict[str, Any]] = ({}, {"stop": ["STOP"]}, {"stop": ["STOP", "<tool_call>", "}"], "min_tokens": 3})


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data(), st.sampled_from(READINGS), st.sampled_from(ENDINGS), st.booleans())
def test_of_a_chat(
    http: httpx.Client, data: st.DataObject, reading: dict[str, Any], ending: dict[str, Any], likely: bool
) -> None:
    count, plan = data.draw(plan_of(likely=likely))
    wanted = {"logprobs": True, "top_logprobs": 2} if likely else {}
    body = {"messages": QUESTION, "n": count, **reading, **ending, **wanted}
    whole, stream = ask(http, CHAT, plan, body)
    check_usage(whole, stream)
    for choice, added in zip(whole["choices"], stream["choices"], strict=True):
        message = choice["message"]
        calls = [[call["function"]["name"], call["function"]["arguments"]] for call in message.get("tool_calls", ())]
        assert calls == [added["calls"][number] for number in sorted(added["calls"])]
        assert (message["content"] or "") == added["content"]
        assert message.get("reasoning", "") == added["reasoning"]
        assert choice["finish_reason"] == added["finish_reason"]
        assert choice["token_ids"] == added["token_ids"]
        check_likelihoods(choice, added)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data(), st.sampled_from(ENDINGS), st.booleans(), st.booleans())
def test_of_a_completion(
    http: httpx.Client, data: st.DataObject, ending: dict[str, Any], likely: bool, echo: bool
) -> None:
    count, plan = data.draw(plan_of(likely=likely))
    body = {
        "prompt": "Once upon",
        "n": count,
        "echo": echo,
        "max_tokens": 100,
        **ending,
        **({"logprobs": 2} if likely else {}),
    }
    whole, stream = ask(http, COMPLETIONS, plan, body)
    check_usage(whole, stream)
    for choice, added in zip(whole["choices"], stream["choices"], strict=True):
        assert choice["text"] == added["text"]
        assert choice["finish_reason"] == added["finish_reason"]
        assert choice["token_ids"] == added["token_ids"]
        check_likelihoods(choice, added)


def test_a_stop_without_tokens_removes_no_token_from_the_answer(http: httpx.Client) -> None:
    token_ids = TOKENIZER.encode("the whole text")
    plan = [Delta(0, token_ids[:1], None), Delta(0, token_ids[1:], None), Delta(0, [], "stop")]
    whole, stream = ask(http, COMPLETIONS, plan, {"prompt": "a"})
    assert whole["choices"][0]["text"] == stream["choices"][0]["text"] == "the whole text"
    assert json.dumps(whole["usage"]) == json.dumps(stream["usage"])
