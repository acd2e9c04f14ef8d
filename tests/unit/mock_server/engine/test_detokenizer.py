from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.detokenizer import WindowDetokenizer

# A vocabulary whose tokens depend on their neighbours: words are joined by spaces, marks are not.
WORDS = ["the", "cat", "sat", ",", "."]
BYTES = list("日😀".encode())


def decode(token_ids: Sequence[int]) -> str:
    data = bytearray()
    for token_id in token_ids:
        if token_id >= len(WORDS):
            data.append(BYTES[token_id - len(WORDS)])
        else:
            word = WORDS[token_id]
            data += (f" {word}" if data and word.isalpha() else word).encode()
    return data.decode("utf-8", "replace")


words = st.lists(st.integers(0, len(WORDS) - 1))


@given(words, words, st.integers(1, 4))
def test_the_shown_text_is_what_the_answer_adds_to_the_prompt(prompt: list[int], answer: list[int], size: int) -> None:
    detokenizer = WindowDetokenizer(decode, prompt)
    shown = [detokenizer.push(answer[at : at + size]) for at in range(0, len(answer), size)]
    assert decode(prompt) + "".join(shown) == decode(prompt + answer)


def test_a_character_is_shown_once_it_is_complete() -> None:
    detokenizer = WindowDetokenizer(decode, [0])
    assert [detokenizer.push([5 + position]) for position in range(7)] == ["", "", "日", "", "", "", "😀"]


def test_invalid_bytes_are_not_held_back_forever() -> None:
    detokenizer = WindowDetokenizer(decode)
    shown = "".join(detokenizer.push([token]) for token in [6, 6, 6, 6, 0])
    assert shown.endswith(" the")
