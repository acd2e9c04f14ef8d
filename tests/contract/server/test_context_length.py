"""Requests that do not fit the context: by the error's wording, clients fall back to another model."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from tests.contract.server.conftest import Facts
from tests.contract.server.wire import CHAT, COMPLETIONS, QUESTION, answer, complete, refused
from tests.support.serving import Serving


def prompt_of(facts: Facts, spare: int) -> list[int]:
    """Token ids that leave room for `spare` tokens."""
    return [105] * (facts.max_model_len - spare)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ask", [{}, {"max_tokens": 1}, {"max_tokens": 10**9}])
def test_messages_that_are_too_long(http: httpx.Client, facts: Facts, stream: bool, ask: dict[str, int]) -> None:
    messages = [{"role": "user", "content": "word " * facts.max_model_len}]
    tokens = answer(http, "/tokenize", {"messages": messages})["count"]
    error = refused(http, CHAT, {"messages": messages, "stream": stream, **ask})
    assert error == {
        "message": f"This model's maximum context length is {facts.max_model_len} tokens. However, your messages"
        f" resulted in {tokens} tokens. Please reduce the length of the messages. (context_length_exceeded)",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("ask", [{}, {"max_tokens": 0, "echo": True}, {"max_tokens": None}])
def test_a_prompt_that_is_too_long(http: httpx.Client, facts: Facts, stream: bool, ask: dict[str, Any]) -> None:
    length = facts.max_model_len + 1
    for prompt in (prompt_of(facts, -1), [[105], prompt_of(facts, -1)]):
        error = refused(http, COMPLETIONS, {"prompt": prompt, "stream": stream, **ask})
        assert error["message"] == (
            f"This model's maximum context length is {facts.max_model_len} tokens. However, your prompt resulted in"
            f" {length} tokens. Please reduce the length of the prompt."
            " (context_length_exceeded)"
        )
        assert (error["param"], error["code"]) == ("prompt", "context_length_exceeded")


def test_a_prompt_needs_room_for_one_token(http: httpx.Client, facts: Facts) -> None:
    limit = facts.max_model_len
    error = refused(http, COMPLETIONS, {"prompt": prompt_of(facts, 0)})
    assert f"you requested {limit + 1} tokens ({limit} in the prompt, 1 in the completion)" in error["message"]
    assert (error["param"], error["code"]) == ("prompt", "context_length_exceeded")
    assert complete(http, prompt=prompt_of(facts, 1), max_tokens=50)["usage"]["completion_tokens"] == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "prompt", "field"),
    [
        (CHAT, {"messages": QUESTION}, "max_tokens"),
        (CHAT, {"messages": QUESTION}, "max_completion_tokens"),
        (COMPLETIONS, {"prompt": "Once upon a time"}, "max_tokens"),
    ],
)
def test_an_answer_that_is_longer_than_the_context(
    http: httpx.Client, facts: Facts, path: str, prompt: dict[str, Any], field: str, stream: bool
) -> None:
    name = next(iter(prompt))
    used = answer(http, "/tokenize", prompt)["count"]
    wanted = facts.max_model_len + 1
    error = refused(http, path, {**prompt, field: wanted, "stream": stream})
    assert error == {
        "message": f"This model's maximum context length is {facts.max_model_len} tokens. However, you requested"
        f" {used + wanted} tokens ({used} in the {name}, {wanted} in the completion). Please reduce the length of the"
        f" {name} or completion. (context_length_exceeded)",
        "type": "invalid_request_error",
        "param": field,
        "code": "context_length_exceeded",
    }


def test_an_answer_that_does_not_fit_beside_its_prompt_is_cut(http: httpx.Client, facts: Facts) -> None:
    whole = complete(http, prompt=prompt_of(facts, 3), max_tokens=facts.max_model_len, ignore_eos=True)
    assert whole["usage"]["completion_tokens"] == 3
    assert whole["choices"][0]["finish_reason"] == "length"


def test_the_openai_package_says_what_litellm_and_langchain_look_for(server: Serving, facts: Facts) -> None:
    """litellm reads the lower-cased words, langchain the code, both out of the exception's text."""
    messages: Any = [{"role": "user", "content": "word " * facts.max_model_len}]
    with openai.OpenAI(base_url=server.url, api_key="EMPTY") as client:
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError) as caught:
                client.chat.completions.create(model="sim-chat", messages=messages, stream=stream)
            assert "this model's maximum context length is" in str(caught.value).lower()
            assert "context_length_exceeded" in str(caught.value)
