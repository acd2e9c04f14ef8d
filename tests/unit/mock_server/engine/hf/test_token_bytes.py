from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.engine.detokenizer import IncrementalDetokenizer
from mock_server.engine.hf.token_bytes import VocabularyTable, piece_reader, read_byte_level, read_marked

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True}
LLAMA = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}


@pytest.mark.parametrize(
    ("piece", "data"),
    [
        ("Hello", b"Hello"),
        ("\u0120world", b" world"),  # GPT-2 writes a space as U+0120
        ("\u010a", b"\n"),
        ("\u00e4\u00bd\u0142", "你".encode()),
        ("<|im_end|>", b"<|im_end|>"),
        ("plain text", b"plain text"),  # an added token: the space is outside the alphabet
    ],
)
def test_byte_level_pieces_are_bytes_in_disguise(piece: str, data: bytes) -> None:
    assert read_byte_level(piece) == data


def test_the_disguise_has_a_character_for_each_byte() -> None:
    read = {read_byte_level(chr(code)) for code in range(0x21, 0x180)}
    assert {bytes([byte]) for byte in range(256)} <= read


@pytest.mark.parametrize(
    ("piece", "data"),
    [("\u2581Hello", b" Hello"), ("<0x0A>", b"\n"), ("<0xE4>", b"\xe4"), ("</s>", b"</s>"), ("\u2581\u2581", b"  ")],
)
def test_marked_pieces_have_a_mark_for_each_space(piece: str, data: bytes) -> None:
    assert read_marked(piece) == data


@pytest.mark.parametrize(
    ("decoder", "reader"),
    [
        (BYTE_LEVEL, read_byte_level),
        ({"type": "Sequence", "decoders": [BYTE_LEVEL]}, read_byte_level),
        (LLAMA, read_marked),
        ({"type": "Metaspace", "replacement": "\u2581"}, read_marked),
        ({"type": "Metaspace", "replacement": "_"}, None),
        ({"type": "WordPiece", "prefix": "##"}, None),
        ({"type": "Sequence", "decoders": [BYTE_LEVEL, {"type": "Strip"}]}, None),
        ({"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}, None),
        ({}, None),
    ],
)
def test_an_unknown_decoder_is_not_guessed(decoder: dict[str, object], reader: object) -> None:
    assert piece_reader(decoder) is reader


PIECES = ["a", "\u0120b", "\u00e4\u00bd", "\u0142", "\u00f0\u0141\u013a", "\u0122", "<|end|>"]
SPECIAL = {PIECES.index("<|end|>")}


@given(st.lists(st.integers(0, len(PIECES) - 1)))
def test_text_that_comes_in_pieces_is_the_text_as_a_whole(token_ids: list[int]) -> None:
    table = VocabularyTable(dict(enumerate(PIECES)).get, read_byte_level, SPECIAL)
    one_by_one, at_once = IncrementalDetokenizer(table), IncrementalDetokenizer(table)
    streamed = "".join(one_by_one.push([token_id]) for token_id in token_ids)
    assert streamed == at_once.push(token_ids)
    whole = b"".join(read_byte_level(PIECES[i]) for i in token_ids if i not in SPECIAL).decode("utf-8", "replace")
    assert whole.startswith(streamed)
    assert set(whole[len(streamed) :]) <= {"\ufffd"}  # half a character at the end is not shown


def test_special_tokens_appear_only_as_bytes() -> None:
    table = VocabularyTable(dict(enumerate(PIECES)).get, read_byte_level, SPECIAL)
    assert table.token_bytes(6) == b"<|end|>"
    assert table.shown_bytes(6) == b""
    assert table.token_text(6) == ""
    assert table.token_text(2) is None
    assert table.token_bytes(99) == b""
