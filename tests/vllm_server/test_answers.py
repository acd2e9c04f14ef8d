"""Answers in sense, the same streamed and whole, counted as the model's own tokenizer counts."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.contract.server.wire import chat, chat_events, complete, completion_events, recount, texts
from tests.support.serving import ServerProcess
from tests.vllm_server.asking import FRANCE, PARIS, ask, ask_streaming

pytestmark = pytest.mark.vllm

STORY = "Write a long story about a cat."


def test_the_ready_line_tells_what_is_served(server: ServerProcess) -> None:
    ready, url, model, engine, profile = server.ready_line.split()
    assert (ready, model, engine) == ("ready", "model=smollm2,my_tuner,default-lora", "engine=vllm")
    assert url == server.url
    assert profile.startswith("profile=")
    assert profile.endswith("-cpu-float32")


def test_the_model_knows_a_capital(http: httpx.Client) -> None:
    whole = chat(http, messages=[{"role": "user", "content": FRANCE}], temperature=0)
    (choice,) = whole["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (PARIS, "stop")
    assert whole["model"] == "smollm2"


@pytest.mark.parametrize("question", [FRANCE, "Name three primary colors.", STORY])
def test_a_stream_equals_the_whole_answer(http: httpx.Client, question: str) -> None:
    assert ask_streaming(http, question) == ask(http, question)


def test_a_prompt_is_continued(http: httpx.Client) -> None:
    body = {"prompt": "1, 2, 3, 4, 5,", "temperature": 0, "max_tokens": 12}
    whole = complete(http, **body)["choices"][0]["text"]
    assert whole.startswith(" 6, 7, 8,")  # the space that begins it is there
    assert texts(completion_events(http, **body)) == {0: whole}


def test_usage_is_what_the_tokenizer_counts(http: httpx.Client) -> None:
    messages = [{"role": "user", "content": FRANCE}]
    prompt = http.post("/tokenize", json={"messages": messages}).json()
    ended = chat(http, messages=messages, temperature=0)["usage"]
    assert ended["prompt_tokens"] == prompt["count"]
    assert ended["completion_tokens"] == recount(http, PARIS) + 1  # the token that ended it was generated too
    story = chat(http, messages=[{"role": "user", "content": STORY}], temperature=0, max_tokens=30)
    assert story["choices"][0]["finish_reason"] == "length"
    assert story["usage"]["completion_tokens"] == 30 == recount(http, story["choices"][0]["message"]["content"])
    *_, last = chat_events(http, messages=messages, temperature=0, stream_options={"include_usage": True})
    assert last["usage"] == ended


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_is_not_shown(http: httpx.Client, stream: bool) -> None:
    said = (ask_streaming if stream else ask)(http, FRANCE, stop=["is Par"])
    assert said == "The capital of France "


def test_a_seed_decides_what_chance_decides_otherwise(http: httpx.Client) -> None:
    one, again, two = (ask(http, STORY, temperature=1, seed=seed, max_tokens=12) for seed in (1, 1, 2))
    assert one == again != two
    assert ask(http, STORY, max_tokens=12, seed=1) == ask(http, STORY, max_tokens=12, seed=2)  # greedy


def test_choices_of_one_request_differ(http: httpx.Client) -> None:
    whole = chat(http, messages=[{"role": "user", "content": STORY}], n=3, seed=1, max_tokens=12)
    assert len({choice["message"]["content"] for choice in whole["choices"]}) == 3
    assert whole["usage"]["completion_tokens"] == 36


def test_an_answer_is_exactly_as_long_as_it_is_told_to_be(http: httpx.Client) -> None:
    fields = {"messages": [{"role": "user", "content": FRANCE}], "ignore_eos": True, "max_tokens": 24, "min_tokens": 24}
    whole = chat(http, **fields, temperature=0)
    assert whole["usage"]["completion_tokens"] == 24
    assert whole["choices"][0]["finish_reason"] == "length"
    assert whole["choices"][0]["message"]["content"].startswith(PARIS)


def test_probabilities_are_the_models(http: httpx.Client) -> None:
    whole = chat(http, messages=[{"role": "user", "content": FRANCE}], temperature=0, logprobs=True, top_logprobs=3)
    content = whole["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content).startswith(PARIS)
    assert len(content) == whole["usage"]["completion_tokens"]
    paris = next(entry for entry in content if entry["token"] == " Paris")
    assert paris["top_logprobs"][0]["token"] == " Paris"
    assert paris["logprob"] > -0.1


def test_an_answer_by_a_schema(http: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "is_capital": {"type": "boolean"}},
        "required": ["city", "is_capital"],
        "additionalProperties": False,
    }
    wanted: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}
    answer = json.loads(ask(http, f"{FRANCE} Answer in JSON.", response_format=wanted, max_tokens=80))
    assert answer["city"] == "Paris"
    assert isinstance(answer["is_capital"], bool)


def test_a_system_message_and_a_history_are_read(http: httpx.Client) -> None:
    history = [
        {"role": "user", "content": FRANCE},
        {"role": "assistant", "content": PARIS},
        {"role": "user", "content": "And of Italy?"},
    ]
    said = chat(http, messages=history, temperature=0, max_tokens=20)["choices"][0]["message"]["content"]
    assert "Rome" in said


def test_a_conversation_that_is_too_long_is_refused(http: httpx.Client) -> None:
    response = http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "word " * 3000}]})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"
    assert "2048" in response.json()["error"]["message"]
