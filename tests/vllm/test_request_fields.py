"""The fields of `XRequestConfig` do in vLLM what they say; answers of the model are checked in sense."""

from __future__ import annotations

import json
import math
import re

import pytest

from sdk import BadRequestError, InferenceClient
from tests.support.vllm_server import MODEL

pytestmark = pytest.mark.vllm

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."
HAIKU = "Write a haiku about the sea."
FULL_STOP = 30  # the token of "."


def test_an_exact_length(client: InferenceClient) -> None:
    answer = client.chat(MODEL, FRANCE, max_tokens=23, min_tokens=23, ignore_eos=True)
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (23, "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 23


def test_stop_strings_and_tokens(client: InferenceClient) -> None:
    by_text = client.chat(MODEL, FRANCE, temperature=0, stop=[" Paris"]).choices[0]
    assert (by_text.message.content, by_text.finish_reason) == ("The capital of France is", "stop")
    by_token = client.chat(MODEL, FRANCE, temperature=0, stop_token_ids=[FULL_STOP]).choices[0]
    assert (by_token.message.content, by_token.finish_reason) == (PARIS.removesuffix("."), "stop")
    with client.chat_stream(MODEL, FRANCE, temperature=0, stop=[" Paris"]) as stream:
        assert "".join(chunk.choices[0].delta.content for chunk in stream) == "The capital of France is"


def test_a_seed_decides_what_is_drawn(client: InferenceClient) -> None:
    seven, again, eight = (
        client.chat(MODEL, HAIKU, temperature=1, seed=seed, max_tokens=16).choices[0].message.content
        for seed in (7, 7, 8)
    )
    assert seven == again
    assert seven != eight


def test_two_answers_to_one_question(client: InferenceClient) -> None:
    whole = client.chat(MODEL, HAIKU, n=2, temperature=1, seed=7, max_tokens=16)
    assert [choice.index for choice in whole.choices] == [0, 1]
    texts = [choice.message.content for choice in whole.choices]
    assert texts[0] != texts[1]
    with client.chat_stream(MODEL, HAIKU, n=2, temperature=1, seed=7, max_tokens=16) as stream:
        indices = {choice.index for chunk in stream for choice in chunk.choices}
    assert indices == {0, 1}
    assert stream.texts == texts
    assert stream.usage == whole.usage


def test_logprobs_of_a_chat(client: InferenceClient) -> None:
    choice = client.chat(MODEL, FRANCE, temperature=0, logprobs=True, top_logprobs=3).choices[0]
    assert choice.logprobs is not None
    tokens = [token for token in choice.logprobs["content"] if token["token"] != "<|im_end|>"]
    assert "".join(token["token"] for token in tokens) == PARIS
    for token in tokens:
        assert len(token["top_logprobs"]) == 3
        assert token["logprob"] == max(other["logprob"] for other in token["top_logprobs"]) <= 0
        assert sum(math.exp(other["logprob"]) for other in token["top_logprobs"]) <= 1.001


def test_logprobs_of_a_stream_are_those_of_the_whole(client: InferenceClient) -> None:
    whole = client.chat(MODEL, FRANCE, temperature=0, logprobs=True).choices[0].logprobs
    with client.chat_stream(MODEL, FRANCE, temperature=0, logprobs=True) as stream:
        pieces = [chunk.choices[0].logprobs for chunk in stream]
    streamed = [token for piece in pieces if piece for token in piece["content"]]
    assert whole is not None
    assert [token["token"] for token in streamed] == [token["token"] for token in whole["content"]]
    assert [token["logprob"] for token in streamed] == pytest.approx(
        [token["logprob"] for token in whole["content"]], abs=1e-3
    )


def test_logprobs_of_a_completion(client: InferenceClient) -> None:
    choice = client.complete(
        MODEL, "The capital of France is", temperature=0, max_tokens=3, logprobs=True, top_logprobs=2
    ).choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs["tokens"][0] == " Paris"
    assert all(len(alternatives) == 2 for alternatives in choice.logprobs["top_logprobs"])


def test_logprobs_of_the_prompt(client: InferenceClient) -> None:
    answer = client.chat(MODEL, FRANCE, max_tokens=1, prompt_logprobs=1)
    assert answer.model_extra is not None
    assert len(answer.model_extra["prompt_logprobs"]) == answer.usage.prompt_tokens


def test_a_token_forbidden_by_its_bias(client: InferenceClient) -> None:
    answer = client.chat(MODEL, FRANCE, temperature=0, logit_bias={str(FULL_STOP): -100}, max_tokens=12)
    assert "." not in answer.choices[0].message.content


@pytest.mark.parametrize("narrowing", [{"top_k": 1}, {"min_p": 1.0}, {"top_p": 1e-6}], ids=str)
def test_a_narrowed_choice_is_greedy_at_any_temperature(client: InferenceClient, narrowing: dict[str, float]) -> None:
    assert client.chat(MODEL, FRANCE, temperature=2, **narrowing).choices[0].message.content == PARIS  # type: ignore[arg-type]


@pytest.mark.parametrize("penalty", ["repetition_penalty", "presence_penalty", "frequency_penalty"])
def test_a_penalty_changes_what_is_said(client: InferenceClient, penalty: str) -> None:
    question = "Count: 1 1 1 1 1 1"
    plain = client.chat(MODEL, question, temperature=0, max_tokens=24)
    changed = client.chat(MODEL, question, temperature=0, max_tokens=24, **{penalty: 2.0})  # type: ignore[arg-type]
    assert changed.choices[0].message.content != plain.choices[0].message.content


def test_an_answer_by_json_schema(client: InferenceClient) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "population": {"type": "integer"}},
        "required": ["city", "population"],
        "additionalProperties": False,
    }
    answer = client.chat(
        MODEL,
        "Describe Paris as JSON with city and population.",
        temperature=0,
        max_tokens=80,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )
    city = json.loads(answer.choices[0].message.content)
    assert city["city"] == "Paris"
    assert isinstance(city["population"], int)


def test_an_answer_by_choice_or_pattern(client: InferenceClient) -> None:
    chosen = client.chat(MODEL, "Is the sky blue?", temperature=0, structured_outputs={"choice": ["maybe", "never"]})
    assert chosen.choices[0].message.content in ("maybe", "never")
    drawn = client.chat(MODEL, "When?", temperature=0, structured_outputs={"regex": r"[0-9]{4}-[0-9]{2}"})
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}", drawn.choices[0].message.content)


def test_arguments_reach_the_chat_template(client: InferenceClient) -> None:
    # the model's own template has no switch; one that shadows what vLLM passes itself shows that it got there
    with pytest.raises(BadRequestError, match="'messages'"):
        client.chat(MODEL, FRANCE, chat_template_kwargs={"messages": []})
    assert client.chat(MODEL, FRANCE, temperature=0, chat_template_kwargs={"enable_thinking": False}).choices


def test_a_field_without_a_name_here(client: InferenceClient) -> None:
    answer = client.chat(MODEL, FRANCE, temperature=0, extra_body={"return_token_ids": True})
    assert answer.choices[0].model_extra is not None
    assert len(answer.choices[0].model_extra["token_ids"]) == answer.usage.completion_tokens
