from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mock_server.answer.choice import ChoiceText
from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.base import FinishReason
from mock_server.engine.detokenizer import IncrementalDetokenizer

TOKENIZER = Tokenizer()
EOS = TOKENIZER.eos_token_id


def run(
    deltas: Sequence[tuple[Sequence[int], FinishReason | None]], stop: Sequence[str] = (), min_tokens: int = 0
) -> tuple[list[str], FinishReason | None, int]:
    choice = ChoiceText(IncrementalDetokenizer(TOKENIZER), stop, min_tokens)
    shown = []
    for token_ids, finish_reason in deltas:
        shown.append(choice.push(token_ids, finish_reason)[0])
        if choice.finish_reason is not None:
            break
    return shown, choice.finish_reason, choice.completion_tokens


def tokens(text: str) -> list[int]:
    return TOKENIZER.encode(text)


def test_the_stop_token_counts_and_is_not_shown() -> None:
    assert run([(tokens("hi"), None), ([EOS], "stop")]) == (["hi", ""], "stop", 2)
    assert run([([*tokens("hi"), *tokens("!")], "stop")]) == (["hi"], "stop", 2)
    assert run([([*tokens("hi"), *tokens("!")], "stop")], stop=["zz"]) == (["hi"], "stop", 2)


def test_the_last_token_of_a_full_answer_is_shown() -> None:
    assert run([(tokens("hi"), "length")]) == (["hi"], "length", 1)


def test_a_stop_string_ends_the_choice_and_cuts_its_text() -> None:
    words = tokens("the world is round")
    assert run([([word], None) for word in words], stop=["world"]) == (["the", " "], "stop", 2)


def test_text_held_back_is_shown_if_the_choice_ends_without_a_stop_string() -> None:
    words = tokens("the world")
    assert run([([words[0]], None), ([words[1]], "length")], stop=["worldly"]) == (["the", " world"], "length", 2)
    assert run([([words[0]], None), ([words[1]], None), ([EOS], "stop")], stop=["worldly"]) == (
        ["the", " ", "world"],
        "stop",
        3,
    )


def test_offsets_say_where_each_token_begins_even_in_text_held_back() -> None:
    choice = ChoiceText(IncrementalDetokenizer(TOKENIZER), ["worldly"], watch_offsets=True, first_offset=10)
    the, world = tokens("the world")
    assert choice.push([the], None) == ("the", None)
    assert choice.offsets == [10]
    assert choice.push([world, EOS], "stop") == (" world", "stop")
    assert choice.offsets == [13, 19]


def test_tokens_after_a_stop_string_have_no_offset() -> None:
    choice = ChoiceText(IncrementalDetokenizer(TOKENIZER), [" world"], watch_offsets=True)
    assert choice.push(tokens("the world is round"), None) == ("the", "stop")
    assert choice.offsets == [0, 3]


def test_a_stop_string_before_min_tokens_is_text() -> None:
    words = tokens("the end of the end")
    shown, finish_reason, count = run([([word], None) for word in words], stop=["end"], min_tokens=3)
    assert "".join(shown) == "the end of the "
    assert (finish_reason, count) == ("stop", 5)


@given(st.integers(min_value=1, max_value=6), st.sampled_from(["end", "world", "e", "zzz", " of the"]))
def test_the_batching_of_deltas_changes_neither_text_nor_count(size: int, stop: str) -> None:
    words = [*tokens("this is the end of the world, my friend 😀"), EOS]
    single = [([word], "stop" if word == EOS else None) for word in words]
    batched = [
        (words[at : at + size], "stop" if words[at : at + size][-1] == EOS else None)
        for at in range(0, len(words), size)
    ]
    one_by_one, together = run(single, stop=[stop]), run(batched, stop=[stop])  # type: ignore[arg-type]
    assert "".join(one_by_one[0]) == "".join(together[0])
    assert one_by_one[1:] == together[1:]
