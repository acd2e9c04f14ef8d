from __future__ import annotations

import httpx
import pytest

from tests.contract.server.conftest import Facts
from tests.contract.server.wire import complete, completion_events, recount, texts
from tests.support.serving import Serving


def test_the_pages_curl_body_is_answered(base_server: Serving) -> None:
    body = (
        '{\n"model": "sim-base",\n"prompt": "浙江 -> 杭州\\n安徽 -> 合肥\\n四川 ->",\n'
        '"max_tokens": 32,\n"temperature": 0.1,\n"seed": 42\n}'
    )
    response = httpx.post(
        f"{base_server.url}/completions", content=body.encode(), headers={"Content-Type": "application/json"}
    )
    whole = response.json()
    assert set(whole) == {"id", "object", "created", "model", "choices", "usage"}
    assert whole["id"].startswith("cmpl-")
    assert (whole["object"], whole["model"]) == ("text_completion", "sim-base")
    (choice,) = whole["choices"]
    assert set(choice) == {"index", "text", "logprobs", "finish_reason"}
    assert choice["text"]
    assert whole["usage"]["completion_tokens"] <= 32


def test_a_completion_has_sixteen_tokens_by_default(http: httpx.Client) -> None:
    assert complete(http, ignore_eos=True)["usage"]["completion_tokens"] == 16
    assert complete(http, ignore_eos=True, max_tokens=None)["usage"]["completion_tokens"] == 16


def test_a_chat_model_completes_prompts_too(http: httpx.Client, facts: Facts) -> None:
    whole = complete(http, max_tokens=5, ignore_eos=True)
    assert whole["usage"]["prompt_tokens"] == recount(http, "Once upon a time")
    assert whole["usage"]["completion_tokens"] == 5
    if facts.makes_sense:
        assert recount(http, whole["choices"][0]["text"]) == 5


def test_text_and_its_token_ids_are_the_same_prompt(http: httpx.Client) -> None:
    token_ids = http.post("/tokenize", json={"prompt": "Once upon a time"}).json()["tokens"]
    as_text = complete(http, seed=1)["choices"]
    assert complete(http, prompt=token_ids, seed=1)["choices"] == as_text
    assert complete(http, prompt=[token_ids], seed=1)["choices"] == as_text


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("as_ids", [False, True])
def test_several_prompts_are_answered_in_their_order(http: httpx.Client, n: int, as_ids: bool) -> None:
    prompts = ["one", "two two", "三三"]
    alone = [complete(http, prompt=prompt, n=n, seed=1, max_tokens=9, ignore_eos=True) for prompt in prompts]
    expected = [choice["text"] for whole in alone for choice in whole["choices"]]
    together: list[str] | list[list[int]] = prompts
    if as_ids:
        together = [http.post("/tokenize", json={"prompt": prompt}).json()["tokens"] for prompt in prompts]
    whole = complete(http, prompt=together, n=n, seed=1, max_tokens=9, ignore_eos=True)
    assert [(choice["index"], choice["text"]) for choice in whole["choices"]] == list(enumerate(expected))
    assert whole["usage"]["completion_tokens"] == 3 * 9 * n
    assert whole["usage"]["prompt_tokens"] == sum(one["usage"]["prompt_tokens"] for one in alone)
    chunks = completion_events(http, prompt=together, n=n, seed=1, max_tokens=9, ignore_eos=True)
    assert texts(chunks) == dict(enumerate(expected))
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)


def test_a_stream_equals_the_whole_answer(http: httpx.Client, facts: Facts) -> None:
    whole = complete(http, seed=1, max_tokens=20)
    *chunks, usage = completion_events(http, seed=1, max_tokens=20, stream_options={"include_usage": True})
    assert texts(chunks) == {0: whole["choices"][0]["text"]}
    assert usage["usage"] == whole["usage"]
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert len(chunks) == whole["usage"]["completion_tokens"] or not facts.makes_sense


def test_continuous_usage_counts_over_all_prompts(http: httpx.Client, facts: Facts) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    *chunks, last = completion_events(
        http, prompt=["one", "two"], max_tokens=5, ignore_eos=True, stream_options=options
    )
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(set(counts))
    assert len(counts) == 10 or not facts.makes_sense
    assert last["usage"]["completion_tokens"] == 10


@pytest.mark.parametrize("words", [["Once upon"], ["Once", "twice"]])
@pytest.mark.parametrize("as_ids", [False, True])
def test_echo_begins_with_the_prompt(http: httpx.Client, words: list[str], as_ids: bool) -> None:
    prompt: object = words if len(words) > 1 else words[0]
    if as_ids:
        prompt = [http.post("/tokenize", json={"prompt": word}).json()["tokens"] for word in words]
    plain = complete(http, prompt=prompt, max_tokens=3, n=2, seed=1)
    echoed = complete(http, prompt=prompt, max_tokens=3, n=2, seed=1, echo=True)
    prompts = [word for word in words for _ in range(2)]
    expected = [prompts[choice["index"]] + choice["text"] for choice in plain["choices"]]
    assert [choice["text"] for choice in echoed["choices"]] == expected
    assert echoed["usage"] == plain["usage"]
    streamed = completion_events(http, prompt=prompt, max_tokens=3, n=2, seed=1, echo=True)
    assert texts(streamed) == dict(enumerate(expected))


def test_tokens_come_back_as_text_and_text_as_tokens(http: httpx.Client, facts: Facts) -> None:
    text = "Hello, 世界 \U0001f600!\n"
    tokenized = http.post("/tokenize", json={"model": "my_tuner", "prompt": text, "return_token_strs": True}).json()
    assert tokenized["count"] == len(tokenized["tokens"]) == len(tokenized["token_strs"])
    assert tokenized["max_model_len"] == facts.max_model_len
    assert http.post("/detokenize", json={"tokens": tokenized["tokens"]}).json() == {"prompt": text}
    empty = http.post("/tokenize", json={"prompt": ""}).json()
    assert (empty["count"], empty["tokens"], empty["token_strs"]) == (0, [], None)
