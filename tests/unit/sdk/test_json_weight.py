"""The memory of JSON is estimated before it is parsed; text that looks like JSON does not count."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdk import AnswerTooLargeError
from sdk import json_weight as weight_module
from sdk.call import decode
from sdk.json_weight import LIGHT_BYTES, is_over_weight
from sdk.transport.base import Origin, Request
from sdk.types import ChatCompletionResponse, ModelList

REQUEST = Request("POST", Origin("http", "h", 80), "/v1/x")
COUNT = LIGHT_BYTES // 4
LIMIT = 4 << 20

values = st.recursive(
    st.text(alphabet='a{}[],"\\\n é') | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@pytest.mark.parametrize("item", ["[]", "{}", "0", '""', '"\\""', '{"a":{}}', "[[]]"])
def test_many_small_values_weigh_more_than_their_text(item: str) -> None:
    data = f"[{','.join([item] * COUNT * 2)}]".encode()
    assert is_over_weight(data, LIMIT)


@pytest.mark.parametrize("text", ["[", "{", ",", '\\"', "\\\\", 'x\\",{[', "\\u005b,"])
def test_strings_weigh_nothing_whatever_they_contain(text: str) -> None:
    data = b'{"a":"' + text.encode() * COUNT * 8 + b'","b":[1,2,3]}'
    assert not is_over_weight(data, 5000)


def _weight_of(value: object) -> int:
    if isinstance(value, dict):
        return 500 + 60 * max(0, len(value) - 1) + sum(map(_weight_of, value.values()))
    if isinstance(value, list):
        return 150 + 60 * max(0, len(value) - 1) + sum(map(_weight_of, value))
    return 0


@given(values, st.integers(1, 40))
def test_the_estimate_matches_the_parser(value: object, window: int) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weight_module, "_WINDOW", window)
        assert weight_module._weight_of_values(data) == _weight_of(value)


BOMBS = {
    "lists": b'{"choices":[{"message":{}}],"x":[' + b"[]," * 3_000_000 + b"0]}",
    "choices": b'{"choices":[' + b'{"message":{}},' * 200_000 + b'{"message":{}}]}',
    "calls": b'{"choices":[{"message":{"tool_calls":[' + b'{"function":{}},' * 200_000 + b'{"function":{}}]}}]}',
    "content parts": b'{"choices":[{"message":{"content":["a",' + b"[]," * 1_000_000 + b"0]}}]}",
}


@pytest.mark.parametrize("what", BOMBS)
def test_an_answer_of_too_many_values_is_refused_before_it_is_parsed(what: str) -> None:
    with pytest.raises(AnswerTooLargeError, match=r"too many values .* max_answer_bytes"):
        decode(ChatCompletionResponse, BOMBS[what], REQUEST)


def test_a_list_of_a_million_models_is_refused() -> None:
    with pytest.raises(AnswerTooLargeError, match="too many values"):
        decode(ModelList, b'{"data":[' + b'{"id":"m"},' * 1_000_000 + b'{"id":"m"}]}', REQUEST)


def test_a_higher_limit_accepts_it() -> None:
    answer = decode(ChatCompletionResponse, BOMBS["choices"], REQUEST, 1 << 30)
    assert len(answer.choices) == 200_001


def test_long_text_full_of_brackets_is_an_answer() -> None:
    text = "f({x: [1, 2]}, '{[,');\n" * 500_000
    body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    assert decode(ChatCompletionResponse, body, REQUEST).choices[0].message.content == text


ANSWERS: dict[str, dict[str, object]] = {
    "text": {"message": {"role": "assistant", "content": "hi", "refusal": None}, "finish_reason": "stop"},
    "calls": {"message": {"tool_calls": [{"id": "a", "index": 0, "function": {"name": "f", "arguments": "{}"}}]}},
    "call without id": {"message": {"content": None, "tool_calls": [{"function": {"name": "f"}}]}},
    "reasoning": {"message": {"content": "", "reasoning_content": "hm", "annotations": []}, "logprobs": None},
    "parts": {"message": {"content": [{"type": "text", "text": "a"}, {"type": "image", "x": 1}]}},
    "logprobs": {
        "message": {"content": "a"},
        "logprobs": {"content": [{"token": "a", "logprob": -0.1, "bytes": [97]}]},
    },
    "numbers": {"message": {"content": "a"}, "index": "1", "token_ids": [1, 2.5, 10**30]},
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_large_answer_is_parsed_like_a_small_one(name: str) -> None:
    body = json.dumps({"id": "x", "choices": [ANSWERS[name]], "usage": {"prompt_tokens": 1}, "own": 1}).encode()
    small, large = (decode(ChatCompletionResponse, body + b" " * more, REQUEST) for more in (0, LIGHT_BYTES))
    assert large == small
    assert large.model_dump(exclude_unset=True) == small.model_dump(exclude_unset=True)
