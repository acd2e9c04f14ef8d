"""Features of models besides text: log probabilities, constraints on tokens, greedy choices."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.contract.server.wire import (
    CHAT,
    COMPLETIONS,
    QUESTION,
    chat,
    chat_events,
    complete,
    completion_events,
    refused,
)


class TestLogprobs:
    @pytest.mark.parametrize("top", [0, 3])
    def test_chat(self, http: httpx.Client, top: int) -> None:
        body = {"logprobs": True, "top_logprobs": top, "temperature": 0, "max_tokens": 6, "ignore_eos": True}
        whole = chat(http, **body)
        content = whole["choices"][0]["logprobs"]["content"]
        assert len(content) == 6
        for entry in content:
            assert bytes(entry["bytes"]).decode("utf-8", "replace") == entry["token"]
            assert entry["logprob"] <= 0
            assert len(entry["top_logprobs"]) == top
            logprobs = [likely["logprob"] for likely in entry["top_logprobs"]]
            assert logprobs == sorted(logprobs, reverse=True)
            assert not top or entry["top_logprobs"][0]["token"] == entry["token"]  # greedy takes the likeliest
        data = b"".join(bytes(entry["bytes"]) for entry in content)
        assert data.decode("utf-8", "ignore") == whole["choices"][0]["message"]["content"]
        streamed = [c["choices"][0]["logprobs"] for c in chat_events(http, **body)]
        assert streamed[0] is None  # the role's event
        gathered = [entry for logprobs in streamed[1:] for entry in logprobs["content"]]
        assert [entry["token"] for entry in gathered] == [entry["token"] for entry in content]

    @pytest.mark.parametrize("top", [0, 2])
    def test_completions(self, http: httpx.Client, top: int) -> None:
        body = {"logprobs": top, "temperature": 0, "max_tokens": 6, "ignore_eos": True}
        (choice,) = complete(http, **body)["choices"]
        logprobs = choice["logprobs"]
        assert [len(logprobs[name]) for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")] == [6] * 4
        for token, logprob, likely in zip(
            logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
        ):
            assert likely[token] == logprob == max(likely.values())
            assert 1 <= len(likely) <= top + 1
        ends = [*logprobs["text_offset"][1:], len(choice["text"])]
        shown = [choice["text"][start:end] for start, end in zip(logprobs["text_offset"], ends, strict=True)]
        assert "".join(shown) == choice["text"]
        streamed = [c["choices"][0]["logprobs"] for c in completion_events(http, **body)]
        assert [offset for piece in streamed for offset in piece["text_offset"]] == logprobs["text_offset"]

    def test_echo_begins_with_the_prompts(self, http: httpx.Client) -> None:
        (choice,) = complete(http, logprobs=1, echo=True, temperature=0, max_tokens=2, ignore_eos=True)["choices"]
        prompt = http.post("/tokenize", json={"prompt": "Once upon a time", "return_token_strs": True}).json()
        logprobs = choice["logprobs"]
        assert logprobs["tokens"][: prompt["count"]] == prompt["token_strs"]
        assert len(logprobs["tokens"]) == prompt["count"] + 2
        assert logprobs["token_logprobs"][0] is None
        assert logprobs["top_logprobs"][0] is None
        assert all(logprob <= 0 for logprob in logprobs["token_logprobs"][1:])
        assert logprobs["text_offset"][: prompt["count"] + 1] == [0, 4, 9, 11, 16]

    def test_prompt_logprobs(self, http: httpx.Client) -> None:
        (choice,) = complete(http, prompt_logprobs=2, max_tokens=1)["choices"]
        first, *rest = choice["prompt_logprobs"]
        assert first is None
        assert len(rest) == 3
        for position in rest:
            assert len(position) in (2, 3)
            assert {entry["rank"] for entry in position.values()} >= {1, 2}
        assert len(chat(http, prompt_logprobs=0, max_tokens=1)["prompt_logprobs"]) > 5
        for path, body in ((CHAT, {"messages": QUESTION}), (COMPLETIONS, {"prompt": "a"})):
            assert refused(http, path, {**body, "prompt_logprobs": 1, "stream": True})["param"] == "prompt_logprobs"

    def test_more_than_the_limit_is_refused(self, http: httpx.Client) -> None:
        body = {"messages": QUESTION, "logprobs": True, "top_logprobs": 21}
        assert "at most 20" in refused(http, CHAT, body)["message"]


class TestConstraints:
    def test_one_of_several_strings(self, http: httpx.Client) -> None:
        for stream in (False, True):
            body = {"structured_outputs": {"choice": ["yes indeed", "no way"]}, "max_tokens": 9}
            if stream:
                text = "".join(c["choices"][0]["text"] for c in completion_events(http, **body))
            else:
                text = complete(http, **body)["choices"][0]["text"]
            assert text in ("yes indeed", "no way")

    def test_a_regular_expression(self, http: httpx.Client) -> None:
        (choice,) = complete(http, structured_outputs={"regex": "[0-9]{3}-[0-9]{2}"}, max_tokens=20)["choices"]
        assert choice["text"].replace("-", "").isdigit()
        assert len(choice["text"]) == 6
        assert choice["finish_reason"] == "stop"

    @pytest.mark.parametrize("form", ["structured_outputs", "response_format"])
    def test_a_schema_in_either_form(self, http: httpx.Client, form: str) -> None:
        schema = {"enum": ["left", "right"]}
        forms = {
            "structured_outputs": {"json": schema},
            "response_format": {"type": "json_schema", "json_schema": {"name": "way", "schema": schema}},
        }
        (choice,) = chat(http, **{form: forms[form]}, max_tokens=20)["choices"]
        assert json.loads(choice["message"]["content"]) in ("left", "right")

    @pytest.mark.parametrize(
        "constraint", [{"regex": "("}, {"json": {"type": "nonsense"}}, {"grammar": "root ::= ("}, {"json": "{"}]
    )
    @pytest.mark.parametrize("stream", [False, True])
    def test_an_invalid_constraint_is_refused(
        self, http: httpx.Client, constraint: dict[str, object], stream: bool
    ) -> None:
        error = refused(http, COMPLETIONS, {"prompt": "a", "structured_outputs": constraint, "stream": stream})
        assert error["type"] == "invalid_request_error"

    def test_bias_allowed_tokens_and_forbidden_words(self, http: httpx.Client) -> None:
        (wanted,) = http.post("/tokenize", json={"prompt": " cat"}).json()["tokens"]
        forced = {"logit_bias": {str(wanted): 100}, "temperature": 0}
        (choice,) = complete(http, **forced, max_tokens=2, ignore_eos=True)["choices"]
        assert choice["text"] == " cat cat"
        (choice,) = complete(http, allowed_token_ids=[wanted], max_tokens=3, ignore_eos=True)["choices"]
        assert choice["text"] == " cat cat cat"
        body = {"logit_bias": {str(wanted): 100}, "bad_words": ["cat"], "max_tokens": 2, "ignore_eos": True}
        assert " cat" not in complete(http, **body)["choices"][0]["text"]

    def test_a_stop_token_ends_the_answer_and_is_not_shown(self, http: httpx.Client) -> None:
        (cat,) = http.post("/tokenize", json={"prompt": " cat"}).json()["tokens"]
        body = {"logit_bias": {str(cat): 100}, "stop_token_ids": [cat], "max_tokens": 5}
        whole = complete(http, **body)
        assert whole["choices"][0]["text"] == ""
        assert whole["choices"][0]["finish_reason"] == "stop"
        assert whole["usage"]["completion_tokens"] == 1
        later = complete(http, **body, min_tokens=3)
        assert later["usage"]["completion_tokens"] >= 4


def test_greedy_choices_are_all_the_same(http: httpx.Client) -> None:
    whole = chat(http, n=3, temperature=0, max_tokens=5, ignore_eos=True)
    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in whole["choices"]}) == 1
    assert whole["usage"]["completion_tokens"] == 15
    chunks = chat_events(http, n=3, temperature=0, max_tokens=5, ignore_eos=True)
    assert {chunk["choices"][0]["index"] for chunk in chunks} == {0, 1, 2}


def test_priorities_require_a_scheduler_that_supports_them(http: httpx.Client) -> None:
    error = refused(http, CHAT, {"messages": QUESTION, "priority": 1})
    assert (error["param"], error["code"]) == ("priority", "unsupported_parameter")


def test_a_template_takes_variables_but_not_its_own_form(http: httpx.Client) -> None:
    assert chat(http, chat_template_kwargs={"enable_thinking": False}, max_tokens=1)
    body = {"messages": QUESTION, "chat_template_kwargs": {"tokenize": True}}
    assert "cannot set tokenize" in refused(http, CHAT, body)["message"]
