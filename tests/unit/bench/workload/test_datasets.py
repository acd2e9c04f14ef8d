"""Prompts come in a seeded order, and begin anew where no cache may answer for the model."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bench.workload.datasets import Prompt, PromptList, SyntheticPrompts

PROMPTS = [Prompt(8, text=f"prompt {n}") for n in range(5)]
WORDS = [f"w{n}" for n in range(40)]


def prompt_list(seed: int = 7, nonce: str | None = None, prompts: list[Prompt] = PROMPTS) -> PromptList:
    return PromptList(prompts, name="five", seed=seed, nonce=nonce)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_each_prompt_comes_once_before_any_comes_again(seed: int, rounds: int) -> None:
    workload = prompt_list(seed)
    drawn = [workload.prompt(n)[0] for n in range(5 * rounds)]
    assert Counter(drawn) == dict.fromkeys(range(5), rounds)


def test_a_request_has_its_prompt_whatever_was_asked_before() -> None:
    forwards, backwards = prompt_list(), prompt_list()
    assert [forwards.prompt(n) for n in range(12)] == [backwards.prompt(n) for n in reversed(range(12))][::-1]


def test_seeds_differ_in_order() -> None:
    orders = {tuple(prompt_list(seed).prompt(n)[0] for n in range(10)) for seed in range(8)}
    assert len(orders) > 4


def test_with_a_nonce_no_two_prompts_begin_alike_and_none_is_lost() -> None:
    workload = prompt_list(nonce="a1")
    texts = [workload.prompt(n)[1].text for n in range(-5, 15)]
    beginnings = {text.split("]")[0] for text in texts}
    assert len(beginnings) == 20
    assert all(text.startswith("[a1 ") and "] prompt " in text for text in texts)


def test_without_one_prompts_are_sent_as_they_are() -> None:
    workload = prompt_list()
    number, prompt = workload.prompt(3)
    assert prompt is PROMPTS[number]


def test_the_nonce_goes_into_the_first_message_whatever_its_form() -> None:
    system = {"role": "system", "content": "be brief"}
    picture = {"role": "user", "content": [{"type": "text", "text": "what is this?"}]}
    prompts = [Prompt(8, messages=[system, picture]), Prompt(8, messages=[picture])]
    sent = {
        number: prompt.messages
        for number, prompt in (prompt_list(nonce="z", prompts=prompts).prompt(n) for n in (0, 1))
    }
    assert sent[0] is not None
    assert sent[1] is not None
    assert sent[0][0]["content"].startswith("[z ")
    assert sent[0][0]["content"].endswith("] be brief")
    assert sent[0][1] == picture
    assert sent[1][0]["content"][0]["text"].startswith("[z ")
    assert sent[1][0]["content"][1] == picture["content"][0]  # type: ignore[index]
    assert prompts[0].messages == [system, picture]  # the file's own stay as they are


def synthetic(count: int, *, nonce: str | None = None, chat: bool = False) -> SyntheticPrompts:
    return SyntheticPrompts(WORDS, count, 8, name="words", chat=chat, seed=7, nonce=nonce)


@given(st.integers(1, 200), st.integers(-50, 500))
def test_synthetic_prompts_have_exactly_so_many_words(count: int, request: int) -> None:
    words = synthetic(count).prompt(request)[1].text.split(" ")
    assert len(words) == count
    assert set(words) <= set(WORDS)


def test_synthetic_prompts_depend_on_request_and_nonce_alone() -> None:
    assert synthetic(50).prompt(3) == synthetic(50).prompt(3)
    assert synthetic(50, nonce="a").prompt(3) != synthetic(50, nonce="b").prompt(3)
    texts = [synthetic(50).prompt(n)[1].text for n in range(64)]
    assert all(one[:40] != other[:40] for one, other in pairwise(texts))


def test_synthetic_chat_is_one_message() -> None:
    prompt = synthetic(3, chat=True).prompt(0)[1]
    assert prompt.messages is not None
    assert [message["role"] for message in prompt.messages] == ["user"]
