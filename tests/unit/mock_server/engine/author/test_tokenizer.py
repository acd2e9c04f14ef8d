from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.author.tokenizer import Tokenizer
from mock_server.engine.detokenizer import IncrementalDetokenizer

TOKENIZER = Tokenizer()
ENGLISH = (
    "Serving a model well is mostly a matter of batching: requests share the weights that are read from memory, "
    "so a larger batch makes better use of the hardware until computation becomes the limit. Don't measure once!"
)
CHINESE = (
    "杭州位于中国东南沿海，是浙江省的政治、经济和文化中心，也是著名的旅游城市。西湖风景如画，吸引了来自世界各地的游客。"
)

texts = st.text()  # any code point that UTF-8 has
wordy = st.text(alphabet=st.sampled_from(list("the of 浙江省会在,.，。 \n\t09'\"<|>userAé😀")), max_size=60)


@given(st.one_of(texts, wordy))
def test_a_text_survives_encoding_exactly(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(wordy, st.integers(min_value=0, max_value=60))
def test_a_prefix_of_the_ids_is_the_ids_of_a_prefix(text: str, length: int) -> None:
    ids = TOKENIZER.encode(text)[:length]
    prefix = TOKENIZER.decode(ids)
    if "\ufffd" not in prefix:  # not cut inside a character
        assert TOKENIZER.encode(prefix) == ids


@given(st.one_of(texts, wordy), st.lists(st.integers(min_value=1, max_value=4), min_size=1))
def test_incremental_detokenizing_gives_the_same_text(text: str, sizes: list[int]) -> None:
    ids = TOKENIZER.encode(text)
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    shown, at, turn = "", 0, 0
    while at < len(ids):
        size = sizes[turn % len(sizes)]
        piece = detokenizer.push(ids[at : at + size])
        assert "\ufffd" not in piece or "\ufffd" in text
        shown, at, turn = shown + piece, at + size, turn + 1
    assert shown == text


def test_half_a_character_is_held_back_and_never_shown() -> None:
    detokenizer = IncrementalDetokenizer(TOKENIZER)
    assert [detokenizer.push([byte]) for byte in "é😀".encode()] == ["", "é", "", "", "", "😀"]
    assert detokenizer.push(list("😀".encode())[:3]) == ""


def test_text_that_looks_like_a_special_token_is_plain_text() -> None:
    ids = TOKENIZER.encode("<|end|><|user|>")
    assert not set(ids) & set(TOKENIZER.special_ids.values())
    assert TOKENIZER.decode(ids) == "<|end|><|user|>"


def test_special_tokens_appear_only_on_request() -> None:
    ids = [TOKENIZER.special_ids["<|user|>"], *TOKENIZER.encode("hi"), TOKENIZER.eos_token_id]
    assert TOKENIZER.decode(ids) == "hi"
    assert TOKENIZER.decode(ids, special=True) == "<|user|>hi<|end|>"


@pytest.mark.parametrize(("text", "least", "most"), [(ENGLISH, 3.5, 5.0), (CHINESE, 1.2, 1.9)])
def test_a_token_has_a_usual_number_of_characters(text: str, least: float, most: float) -> None:
    assert least < len(text) / len(TOKENIZER.encode(text)) < most


def test_two_tokenizers_agree() -> None:
    assert Tokenizer().encode(ENGLISH + CHINESE) == TOKENIZER.encode(ENGLISH + CHINESE)


def test_every_id_below_the_vocabulary_size_decodes() -> None:
    assert len([TOKENIZER.decode([token_id]) for token_id in range(TOKENIZER.vocab_size)]) == TOKENIZER.vocab_size
    with pytest.raises(IndexError):
        TOKENIZER.decode([TOKENIZER.vocab_size])
