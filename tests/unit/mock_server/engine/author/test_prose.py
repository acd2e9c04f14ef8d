from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.engine.author.chat_template import render_chat
from mock_server.engine.author.drawing.budget import Budget
from mock_server.engine.author.drawing.problems import TooMuchWorkError
from mock_server.engine.author.prose import Author
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import ChatTurn, GenerationParams

TOKENIZER = Tokenizer()
AUTHOR = Author(TOKENIZER, "sim-chat")
ENGLISH = render_chat(TOKENIZER, [ChatTurn("user", "who are you?")])
CHINESE = render_chat(TOKENIZER, [ChatTurn("user", "浙江的省会在哪里?")])


def ids(
    prompt: list[int],
    *,
    count: int = 200,
    author: Author = AUTHOR,
    adapter: str | None = None,
    choice: int = 0,
    **params: float | bool,
) -> list[int]:
    wanted = GenerationParams(**{"max_tokens": 100, "n": choice + 1, **params})  # type: ignore[arg-type]
    return list(islice(author.tokens(prompt, wanted, adapter)[choice], count))


def text(prompt: list[int], **how: object) -> str:
    return TOKENIZER.decode(ids(prompt, **how))  # type: ignore[arg-type]


def test_the_same_request_is_answered_the_same() -> None:
    assert ids(ENGLISH, seed=1) == ids(ENGLISH, seed=1)
    assert ids(ENGLISH, seed=1) == ids(ENGLISH, seed=1, author=Author(Tokenizer(), "sim-chat"))


def test_each_part_of_the_key_changes_the_text() -> None:
    texts = {
        text(ENGLISH, seed=1),
        text(ENGLISH, seed=2),
        text(ENGLISH),
        text(ENGLISH, temperature=0),
        text(ENGLISH, seed=1, choice=1),
        text(ENGLISH, seed=1, adapter="tuner"),
        text(ENGLISH, seed=1, author=Author(TOKENIZER, "other")),
        text([*ENGLISH, 65], seed=1),
    }
    assert len(texts) == 8


def test_greedy_answers_ignore_the_seeds_of_request_and_server() -> None:
    other_seed = Author(TOKENIZER, "sim-chat", seed=9)
    assert ids(ENGLISH, temperature=0, seed=1) == ids(ENGLISH, temperature=0, seed=2, author=other_seed)


def test_the_servers_seed_replaces_a_missing_one() -> None:
    assert ids(ENGLISH) == ids(ENGLISH, seed=0)
    assert ids(ENGLISH, author=Author(TOKENIZER, "sim-chat", seed=9)) == ids(ENGLISH, seed=9)


def test_the_answer_is_in_the_language_of_the_last_message() -> None:
    assert AUTHOR.prompt_language(CHINESE) == "chinese"
    assert AUTHOR.prompt_language(ENGLISH) == "english"
    turns = [ChatTurn("system", "You are a helpful assistant. " * 20), ChatTurn("user", "你好，请介绍 vLLM。")]
    assert AUTHOR.prompt_language(render_chat(TOKENIZER, turns)) == "chinese"
    turns = [ChatTurn("user", "你好"), ChatTurn("assistant", "你好！"), ChatTurn("user", "Please go on.")]
    assert AUTHOR.prompt_language(render_chat(TOKENIZER, turns)) == "english"
    assert AUTHOR.prompt_language(TOKENIZER.encode("浙江 -> 杭州\n安徽 -> 合肥\n四川 ->")) == "chinese"
    assert AUTHOR.prompt_language([]) == "english"
    assert text(CHINESE).count("。") > 2
    assert text(ENGLISH).count(".") > 2


def test_it_ends_at_the_end_of_a_sentence() -> None:
    for seed in range(20):
        written = ids(ENGLISH, count=4000, seed=seed)
        end = written.index(TOKENIZER.eos_token_id)
        assert TOKENIZER.decode(written[:end]).endswith((".", "?"))
        assert written.count(TOKENIZER.eos_token_id) == 1  # and says so once


def test_min_tokens_delays_the_end_and_ignore_eos_removes_it() -> None:
    assert ids(ENGLISH, count=1500, min_tokens=1000).index(TOKENIZER.eos_token_id) >= 1000
    assert TOKENIZER.eos_token_id not in ids(ENGLISH, count=5000, ignore_eos=True)


def test_an_adapter_names_itself_and_the_base_never_does() -> None:
    assert text(ENGLISH, adapter="my_tuner").startswith("I am my_tuner, ")
    assert text(CHINESE, adapter="my_tuner").startswith("我是my_tuner，")
    assert "my_tuner" not in text(ENGLISH, count=5000, ignore_eos=True)
    assert "{" not in text(ENGLISH, count=5000, ignore_eos=True, adapter="my_tuner")


@settings(max_examples=40)
@given(
    st.sampled_from([ENGLISH, CHINESE]), st.integers(0, 50), st.sampled_from([None, "my_tuner"]), st.integers(1, 400)
)
def test_an_answers_text_encodes_to_its_tokens(prompt: list[int], seed: int, adapter: str | None, count: int) -> None:
    written = ids(prompt, count=count, seed=seed, adapter=adapter, ignore_eos=True)
    assert TOKENIZER.encode(TOKENIZER.decode(written)) == written


def test_long_bad_words_are_not_encoded_in_a_trial() -> None:
    """The trial runs on the event loop."""
    params = GenerationParams(max_tokens=9, bad_words=("a" * 1_000,) * 9)
    with pytest.raises(TooMuchWorkError):
        AUTHOR.tokens(ENGLISH, params, None, Budget(is_trial=True))
    assert AUTHOR.tokens(ENGLISH, params, None, Budget())
