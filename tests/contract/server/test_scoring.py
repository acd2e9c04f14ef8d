"""Scored prompts: `echo` and `logprobs`, with one token generated or none, as evaluation harnesses request them."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import Any

import httpx
import openai
import pytest

from tests.contract.server.conftest import Facts
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, answer, complete, completion_events, refused
from tests.support.serving import Serving

TEXT = "Once upon a time"
COLUMNS = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


@pytest.fixture(scope="module")
def tokenized(http: httpx.Client) -> dict[str, Any]:
    return answer(http, "/tokenize", {"prompt": TEXT, "return_token_strs": True})


@pytest.mark.parametrize("as_ids", [False, True])
@pytest.mark.parametrize("top", [0, 1, 3])
def test_echo_without_new_tokens_returns_the_prompt_and_its_log_probabilities(
    http: httpx.Client, tokenized: dict[str, Any], top: int, as_ids: bool
) -> None:
    prompt = tokenized["tokens"] if as_ids else TEXT
    whole = complete(http, prompt=prompt, echo=True, logprobs=top, max_tokens=0)
    (choice,) = whole["choices"]
    assert (choice["text"], choice["finish_reason"]) == (TEXT, "length")
    count = tokenized["count"]
    assert whole["usage"] == {"prompt_tokens": count, "completion_tokens": 0, "total_tokens": count}
    logprobs = choice["logprobs"]
    assert [len(logprobs[column]) for column in COLUMNS] == [count] * 4
    assert logprobs["tokens"] == tokenized["token_strs"]
    assert logprobs["text_offset"] == [0, 4, 9, 11]
    assert (logprobs["token_logprobs"][0], logprobs["top_logprobs"][0]) == (None, None)
    for token, logprob, likely in list(
        zip(logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True)
    )[1:]:
        assert likely[token] == logprob <= 0
        assert max(top, 1) <= len(likely) <= top + 1


def test_scores_are_the_same_if_a_token_is_generated(http: httpx.Client, facts: Facts) -> None:
    alone = complete(http, echo=True, logprobs=1, max_tokens=0)["choices"][0]["logprobs"]
    followed = complete(http, echo=True, logprobs=1, max_tokens=1)["choices"][0]["logprobs"]
    for column in COLUMNS:
        assert len(followed[column]) == len(alone[column]) + 1
    assert followed["tokens"][:-1] == alone["tokens"]
    assert followed["token_logprobs"][1:-1] == pytest.approx(alone["token_logprobs"][1:], abs=1e-4)


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_a_harness_scores_continuations_of_several_prompts(http: httpx.Client, max_tokens: int) -> None:
    """lm-evaluation-harness: log probabilities from the context's end on, and whether greedy decoding says the same."""
    words = ["The capital of France is", " Paris", " a banana"]
    ids = [answer(http, "/tokenize", {"prompt": word})["tokens"] for word in words]
    prompts = [ids[0] + ids[1], ids[0] + ids[2]]
    body = {"prompt": prompts, "temperature": 0, "max_tokens": max_tokens, "logprobs": 1, "seed": 1234, "echo": True}
    choices = complete(http, **body)["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    for choice, prompt in zip(choices, prompts, strict=True):
        logprobs = choice["logprobs"]
        assert len(logprobs["token_logprobs"]) == len(prompt) + max_tokens
        scored = slice(len(ids[0]), len(prompt))
        assert all(logprob < 0 for logprob in logprobs["token_logprobs"][scored])
        for logprob, likely in zip(logprobs["token_logprobs"][scored], logprobs["top_logprobs"][scored], strict=True):
            assert logprob <= max(likely.values())
    again = complete(http, **body)["choices"]
    assert [choice["logprobs"]["tokens"] for choice in again] == [choice["logprobs"]["tokens"] for choice in choices]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("logprobs", [None, 1])
def test_a_stream_equals_the_whole_answer(http: httpx.Client, n: int, logprobs: int | None) -> None:
    body = {"prompt": [TEXT, "two two"], "n": n, "echo": True, "logprobs": logprobs, "max_tokens": 0, "seed": 1}
    whole = complete(http, **body)
    assert [choice["text"] for choice in whole["choices"]] == [TEXT] * n + ["two two"] * n
    *chunks, usage = completion_events(http, **body, stream_options={"include_usage": True})
    assert usage["usage"] == whole["usage"]
    assert usage["usage"]["completion_tokens"] == 0
    streamed = sorted((chunk["choices"][0] for chunk in chunks), key=lambda choice: int(choice["index"]))
    assert len(streamed) == 2 * n
    for one, other in zip(streamed, whole["choices"], strict=True):
        assert (one["text"], one["finish_reason"]) == (other["text"], "length")
        assert (one["logprobs"] is None) is (logprobs is None)
        if logprobs is not None:
            assert one["logprobs"]["tokens"] == other["logprobs"]["tokens"]


def test_vllms_form_accompanies_openais_with_the_requested_number_of_entries(http: httpx.Client) -> None:
    (choice,) = complete(http, echo=True, logprobs=3, prompt_logprobs=0, max_tokens=0)["choices"]
    first, *rest = choice["prompt_logprobs"]
    assert first is None
    for entries, logprob in zip(rest, choice["logprobs"]["token_logprobs"][1:], strict=True):
        (entry,) = entries.values()
        assert entry["logprob"] == logprob


def test_token_ids_are_returned_and_none_is_new(http: httpx.Client, tokenized: dict[str, Any]) -> None:
    (choice,) = complete(http, echo=True, max_tokens=0, return_token_ids=True)["choices"]
    assert (choice["token_ids"], choice["prompt_token_ids"]) == ([], tokenized["tokens"])


def test_special_tokens_have_their_place_in_the_text(http: httpx.Client) -> None:
    asked = answer(http, "/tokenize", {"messages": QUESTION, "return_token_strs": True})
    (choice,) = complete(http, prompt=asked["tokens"], echo=True, logprobs=0, max_tokens=0)["choices"]
    logprobs = choice["logprobs"]
    assert choice["text"] == "".join(asked["token_strs"])
    for token, offset in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
        assert choice["text"][offset:].startswith(token)


@pytest.mark.parametrize("ask", [{}, {"echo": False}, {"logprobs": 1}, {"prompt_logprobs": 1}, {"n": 2}])
@pytest.mark.parametrize("stream", [False, True])
def test_max_tokens_zero_without_echo_is_refused(http: httpx.Client, ask: dict[str, Any], stream: bool) -> None:
    if stream and "prompt_logprobs" in ask:
        return
    error = refused(http, COMPLETIONS, {"prompt": TEXT, "max_tokens": 0, "stream": stream, **ask})
    assert error["param"] == "max_tokens"
    assert "unless echo is true" in error["message"]


def test_a_chat_has_at_least_one_token(http: httpx.Client) -> None:
    for field in ("max_tokens", "max_completion_tokens"):
        error = refused(http, CHAT, {"messages": QUESTION, field: 0})
        assert (error["param"], error["message"]) == (field, f"{field} must be at least 1 (got 0)")


def test_the_openai_package_scores_a_prompt(server: Serving, tokenized: dict[str, Any]) -> None:
    with openai.OpenAI(base_url=server.url, api_key="EMPTY") as client:
        completion = client.completions.create(model="sim-chat", prompt=TEXT, echo=True, logprobs=1, max_tokens=0)
    (choice,) = completion.choices
    assert choice.text == TEXT
    assert choice.logprobs is not None
    assert choice.logprobs.tokens == tokenized["token_strs"]


def test_a_disconnect_ends_the_scoring_of_prompts(http: httpx.Client, facts: Facts) -> None:
    if not facts.makes_sense:
        return  # vLLM weighs a prompt where it computes it
    before = answered(http)
    prompts = [[105] * 1000] * 48  # more than a second of work, and the most that is allowed
    body = json.dumps({"prompt": prompts, "echo": True, "logprobs": 1, "max_tokens": 0}).encode()
    with closing(socket.create_connection((http.base_url.host, http.base_url.port or 80))) as connection:
        head = (
            f"POST {COMPLETIONS} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        )
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        while answered(http) == before:
            pass
    while answer_of(http, "/load")["server_load"]:
        pass
    assert answered(http) < before + len(prompts)


def answered(http: httpx.Client) -> int:
    return int(answer_of(http, "/health")["engine"]["requests"])


def answer_of(http: httpx.Client, path: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(path, headers={"connection": "close"}).json()
    return found
