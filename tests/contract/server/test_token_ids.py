"""Token ids in requests and answers, and prompts truncated to their end."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.server.wire import CHAT, QUESTION, chat, chat_events, complete, completion_events, refused


def test_completions_tell_the_tokens_of_prompt_and_answer(http: httpx.Client) -> None:
    body = {"return_token_ids": True, "max_tokens": 5, "ignore_eos": True, "seed": 1, "prompt": ["one", "two two"]}
    whole = complete(http, **body)
    prompts = [http.post("/tokenize", json={"prompt": prompt}).json()["tokens"] for prompt in body["prompt"]]  # type: ignore[attr-defined]
    assert [choice["prompt_token_ids"] for choice in whole["choices"]] == prompts
    for choice in whole["choices"]:
        assert len(choice["token_ids"]) == 5
        assert http.post("/detokenize", json={"tokens": choice["token_ids"]}).json()["prompt"] == choice["text"]
    streamed: dict[int, list[int]] = {0: [], 1: []}
    told = []
    for chunk in completion_events(http, **body):
        (choice,) = chunk["choices"]
        streamed[choice["index"]] += choice["token_ids"]
        told += [choice["index"]] if "prompt_token_ids" in choice else []
    assert sorted(told) == [0, 1]
    assert streamed == {choice["index"]: choice["token_ids"] for choice in whole["choices"]}


def test_a_chat_tells_them_too(http: httpx.Client) -> None:
    body = {"return_token_ids": True, "max_tokens": 5, "ignore_eos": True, "seed": 1}
    whole = chat(http, **body)
    prompt = http.post("/tokenize", json={"messages": QUESTION}).json()["tokens"]
    assert whole["prompt_token_ids"] == prompt
    role, *chunks = chat_events(http, **body)
    assert role["prompt_token_ids"] == prompt
    streamed = [token for chunk in chunks for token in chunk["choices"][0]["token_ids"]]
    assert streamed == whole["choices"][0]["token_ids"]
    assert "token_ids" not in chat(http, max_tokens=1)["choices"][0]


def test_a_stop_string_ends_the_tokens_where_it_ends_the_answer(http: httpx.Client) -> None:
    whole = chat(http, return_token_ids=True, stop=["e"], seed=1)
    assert len(whole["choices"][0]["token_ids"]) == whole["usage"]["completion_tokens"]


@pytest.mark.parametrize(("most", "kept"), [(2, 2), (100, 4), (-1, 4)])
def test_a_prompt_is_cut_to_its_end(http: httpx.Client, most: int, kept: int) -> None:
    tokens = http.post("/tokenize", json={"prompt": "Once upon a time"}).json()["tokens"]
    assert len(tokens) == 4
    body = {"return_token_ids": True, "truncate_prompt_tokens": most, "max_tokens": 1}
    for prompt in ("Once upon a time", tokens):
        whole = complete(http, prompt=prompt, **body)
        assert whole["choices"][0]["prompt_token_ids"] == tokens[-kept:]
        assert whole["usage"]["prompt_tokens"] == kept
    assert chat(http, truncate_prompt_tokens=3, max_tokens=1)["usage"]["prompt_tokens"] == 3
    for wrong in (0, -2):
        assert refused(http, CHAT, {"messages": QUESTION, "truncate_prompt_tokens": wrong})["param"] == (
            "truncate_prompt_tokens"
        )
