from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import httpx
import pytest

from mock_server.settings import ServerSettings
from tests.contract.server.conftest import Facts
from tests.contract.server.wire import QUESTION, chat, chat_events, complete, recount, refused, texts
from tests.support.serving import Serving


def test_the_pages_curl_body_is_answered(http: httpx.Client) -> None:
    body = (
        '{\n"model": "sim-chat",\n"messages": [{"role": "user", "content": "晚上睡不着觉怎么办？"}],\n'
        '"max_tokens": 256,\n"temperature": 0\n}'
    )
    response = http.post("/v1/chat/completions", content=body.encode(), headers={"Content-Type": "application/json"})
    whole = response.json()
    assert set(whole) == {"id", "object", "created", "model", "choices", "usage"}
    assert whole["id"].startswith("chatcmpl-")
    assert (whole["object"], whole["model"]) == ("chat.completion", "sim-chat")
    (choice,) = whole["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    assert choice["logprobs"] is None
    assert choice["finish_reason"] in ("stop", "length")


def test_usage_equals_a_recount_of_the_tokens(http: httpx.Client, facts: Facts) -> None:
    cut = chat(http, max_tokens=20, ignore_eos=True)
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"] == {"prompt_tokens": cut["usage"]["prompt_tokens"], "completion_tokens": 20,
                            "total_tokens": cut["usage"]["prompt_tokens"] + 20}  # fmt: skip
    prompt = http.post("/tokenize", json={"messages": QUESTION}).json()
    assert prompt["count"] == cut["usage"]["prompt_tokens"] == len(prompt["tokens"])
    if not facts.makes_sense:
        return
    assert recount(http, cut["choices"][0]["message"]["content"]) == 20
    ended = chat(http)
    assert ended["choices"][0]["finish_reason"] == "stop"
    # The token that ends the sequence is generated too.
    assert ended["usage"]["completion_tokens"] == recount(http, ended["choices"][0]["message"]["content"]) + 1


@pytest.mark.parametrize("question", ["浙江的省会在哪里?", "who are you?"])
def test_a_stream_equals_the_whole_answer(http: httpx.Client, question: str) -> None:
    messages = [{"role": "user", "content": question}]
    whole = chat(http, messages=messages, seed=42)
    chunks = chat_events(http, messages=messages, seed=42, stream_options={"include_usage": True})
    *deltas, usage = chunks
    assert texts(deltas) == {0: whole["choices"][0]["message"]["content"]}
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    finish_reasons = [chunk["choices"][0]["finish_reason"] for chunk in deltas]
    assert finish_reasons == [None] * (len(deltas) - 1) + [whole["choices"][0]["finish_reason"]]
    assert len({(chunk["id"], chunk["created"], chunk["object"]) for chunk in chunks}) == 1


def test_a_stream_begins_with_the_role_and_has_an_event_for_each_token(http: httpx.Client, facts: Facts) -> None:
    role, *tokens = chat_events(http, max_tokens=7, ignore_eos=True)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert all(set(chunk["choices"][0]["delta"]) == {"content"} for chunk in tokens)
    assert all("usage" not in chunk for chunk in tokens)
    if facts.makes_sense:
        assert len(tokens) == 7
        assert tokens[-1]["choices"][0]["delta"]["content"]  # the last text comes with the finish reason


def test_continuous_usage_grows_to_the_final_usage(http: httpx.Client, facts: Facts) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    role, *tokens, last = chat_events(http, max_tokens=7, ignore_eos=True, stream_options=options)
    assert role["usage"]["completion_tokens"] == 0
    counts = [chunk["usage"]["completion_tokens"] for chunk in tokens]
    assert counts == sorted(set(counts))
    assert counts[-1] == 7
    assert len(counts) == 7 or not facts.makes_sense
    assert last["usage"] == tokens[-1]["usage"]


def test_usage_alone_is_null_until_the_end(http: httpx.Client) -> None:
    *chunks, last = chat_events(http, max_tokens=3, ignore_eos=True, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert last["usage"]["completion_tokens"] == 3


def test_the_same_seed_gives_the_same_answer_and_greedy_needs_no_seed(http: httpx.Client) -> None:
    def said(**body: float) -> str:
        return str(chat(http, **body)["choices"][0]["message"]["content"])

    assert said(seed=1) == said(seed=1) != said(seed=2)
    assert said(temperature=0, seed=1) == said(temperature=0, seed=2) == said(temperature=0)


def test_n_choices_differ_and_are_counted_together(http: httpx.Client) -> None:
    whole = chat(http, n=3, seed=1, max_tokens=30, ignore_eos=True)
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in whole["choices"]}) == 3
    assert whole["usage"]["completion_tokens"] == 90
    chunks = chat_events(http, n=3, seed=1, max_tokens=30, ignore_eos=True)
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)
    assert texts(chunks) == {choice["index"]: choice["message"]["content"] for choice in whole["choices"]}
    roles = [chunk["choices"][0]["index"] for chunk in chunks if "role" in chunk["choices"][0]["delta"]]
    assert sorted(roles) == [0, 1, 2]


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_answer_before_it(http: httpx.Client, facts: Facts, stream: bool) -> None:
    plain = chat(http, seed=3, max_tokens=60, ignore_eos=True)["choices"][0]["message"]["content"]
    stop = plain[40:52]
    at = plain.index(stop)
    tokens = http.post("/tokenize", json={"prompt": plain, "return_token_strs": True}).json()["token_strs"]
    lengths = accumulate(map(len, tokens))
    needed = 1 + sum(length < at + len(stop) for length in lengths)  # the token that completes the string counts
    if stream:
        chunks = chat_events(http, seed=3, max_tokens=60, ignore_eos=True, stop=[stop, "never said"])
        assert texts(chunks) == {0: plain[:at]}
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    else:
        whole = chat(http, seed=3, max_tokens=60, ignore_eos=True, stop=stop)
        assert whole["choices"][0]["message"]["content"] == plain[:at]
        assert whole["choices"][0]["finish_reason"] == "stop"
        assert whole["usage"]["completion_tokens"] == needed or not facts.makes_sense


def test_a_stop_token_ends_the_answer_and_is_not_shown(http: httpx.Client, facts: Facts) -> None:
    if not facts.makes_sense:
        pytest.skip("an answer's text does not tell its tokens")
    plain = chat(http, seed=3, max_tokens=30, ignore_eos=True)["choices"][0]["message"]["content"]
    token_ids = http.post("/tokenize", json={"prompt": plain}).json()["tokens"]
    stop = next(token for position, token in enumerate(token_ids) if position > 4 and token not in token_ids[:position])
    whole = chat(http, seed=3, max_tokens=30, ignore_eos=True, stop_token_ids=[stop])
    shown = token_ids[: token_ids.index(stop)]
    detokenized = http.post("/detokenize", json={"tokens": shown}).json()["prompt"]
    assert whole["choices"][0]["message"]["content"] == detokenized
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"]["completion_tokens"] == len(shown) + 1


def test_min_tokens_and_either_name_of_the_limit(http: httpx.Client) -> None:
    assert chat(http, min_tokens=200, seed=1)["usage"]["completion_tokens"] >= 200
    assert chat(http, max_completion_tokens=4, ignore_eos=True)["usage"]["completion_tokens"] == 4
    both = chat(http, max_tokens=9, max_completion_tokens=4, ignore_eos=True)
    assert both["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize("stream", [False, True])
def test_an_adapter_answers_differently_from_the_base(http: httpx.Client, facts: Facts, stream: bool) -> None:
    names = ("sim-chat", "default-lora", "my_tuner")
    if stream:
        voices = {name: texts(chat_events(http, model=name, temperature=0))[0] for name in names}
    else:
        voices = {name: chat(http, model=name, temperature=0)["choices"][0]["message"]["content"] for name in names}
    assert len(set(voices.values())) == 3
    if facts.makes_sense:
        assert "default-lora" in voices["default-lora"]
        assert "my_tuner" in voices["my_tuner"]
        assert "my_tuner" not in voices["sim-chat"] + voices["default-lora"]
        assert "default-lora" not in voices["sim-chat"] + voices["my_tuner"]


def test_the_answer_has_the_requested_models_name(http: httpx.Client) -> None:
    assert chat(http, model="org/sim-chat", max_tokens=1)["model"] == "org/sim-chat"
    assert chat(http, model="my_tuner", max_tokens=1)["model"] == "my_tuner"
    assert chat(http, max_tokens=1)["model"] == "sim-chat"  # nobody asked for


def test_content_may_be_parts_and_roles_may_be_any_word(http: httpx.Client) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION[0]["content"]}]}]
    assert chat(http, messages=parts, seed=1)["choices"] == chat(http, seed=1)["choices"]
    several = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi", "name": "Ann"},
        {"role": "assistant", "content": None},
        {"role": "critic", "content": "go on"},
    ]
    assert chat(http, messages=several, max_tokens=2, ignore_eos=True)["usage"]["completion_tokens"] == 2


def test_the_last_message_can_be_continued(http: httpx.Client, facts: Facts) -> None:
    messages = [*QUESTION, {"role": "assistant", "content": "It is"}]
    continued = chat(http, messages=messages, continue_final_message=True, add_generation_prompt=False, max_tokens=1)
    opened = chat(http, messages=messages, max_tokens=1)
    fewer = opened["usage"]["prompt_tokens"] - continued["usage"]["prompt_tokens"]
    assert fewer == 2 if facts.makes_sense else fewer > 2


def test_unknown_fields_are_accepted_and_unsupported_ones_are_refused(http: httpx.Client) -> None:
    assert chat(http, max_tokens=1, user="me", metadata={"a": "b"}, service_tier="auto", brand_new_field=[1])
    error = refused(http, "/v1/chat/completions", {"messages": QUESTION, "functions": [{"name": "f"}]})
    assert (error["param"], error["code"]) == ("functions", "unsupported_parameter")


def test_a_base_model_has_no_chat(base_server: Serving) -> None:
    with httpx.Client(base_url=base_server.root) as http:
        error = refused(http, "/v1/chat/completions", {"messages": QUESTION})
    assert error["code"] == "no_chat_template"
    assert error["message"] == (
        "sim-base is a base model and has no chat template: send a prompt to /v1/completions instead"
    )


def test_an_adapter_of_a_base_model_has_no_chat_either(
    started: Callable[[ServerSettings], Serving], facts: Facts
) -> None:
    served = started(ServerSettings(model_names=("sim-base",), is_chat=False, adapters=facts.adapters[1:]))
    with httpx.Client(base_url=served.root) as http:
        error = refused(http, "/v1/chat/completions", {"model": "my_tuner", "messages": QUESTION})
        assert complete(http, model="my_tuner", max_tokens=1)["model"] == "my_tuner"
    assert (error["param"], error["code"]) == ("messages", "no_chat_template")
    assert error["message"] == (
        "my_tuner is an adapter of sim-base, which is a base model and has no chat template: send a prompt to"
        " /v1/completions instead"
    )


def test_the_request_id_is_the_clients_or_else_generated(http: httpx.Client) -> None:
    body = {"messages": QUESTION, "max_tokens": 1}
    for usable in ("abc-1", "4f2a:7/9", "Root=1-67891233-abcdef;Parent=53995c3f", "me@host,2", "x" * 128):
        own = http.post("/v1/chat/completions", json=body, headers={"X-Request-Id": usable})
        assert own.json()["id"] == f"chatcmpl-{usable}"
        assert own.headers["x-request-id"] == usable
    for unusable in ("x" * 129, "with space", "", 'a"b<script>', "it's", "<b>", "a&b", "a\\b", "{}", "`id`", "a%0d"):
        made = http.post("/v1/chat/completions", json=body, headers={"X-Request-Id": unusable})
        assert len(made.headers["x-request-id"]) == 32
        assert made.json()["id"] == f"chatcmpl-{made.headers['x-request-id']}"
