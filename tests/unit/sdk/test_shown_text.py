"""A server's text is safe to show: nothing in it steers a terminal, forges a line or hides."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdk import StatusError, StreamServerError
from sdk.shown_text import MAX_MESSAGE, shown

NASTY = "\x00\x07\x1b\x7f\x85\x9b\n\r\t\u2028\u2029\u3164"
NASTY += "\u202a\u202e\u2066\u2069\u200e\u200f\u200b\u200d\ufeff\ud800\U000e0041\ufe00\U000e0101\u180f"
ANY = st.text(st.characters(codec=None) | st.sampled_from(NASTY), max_size=60)


def is_safe(text: str) -> bool:
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") or c in "\u3164\u2800" for c in text)


@given(ANY)
def test_nothing_unsafe_survives(text: str) -> None:
    assert is_safe(shown(text))
    shown(text).encode()  # no half of a character is left


@given(ANY, st.integers(0, 80))
def test_showing_text_twice_changes_nothing(text: str, limit: int) -> None:
    once = shown(text, limit)
    assert shown(once, limit) == once
    assert len(once) <= limit + 1


@given(
    st.text(
        st.characters(
            categories=["L", "N", "P", "Sm", "Sc"],
            exclude_characters="\u3164\u115f\u1160\uffa0\u034f\u17b4\u17b5",
        )
    )
)
def test_printable_text_is_unchanged(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize("text", ["西湖\u3000在哪里？", "a\xa0b", r"C:\new\x1b", "naïve – “quoted”…", "🙂"])
def test_text_in_any_language_is_unchanged(text: str) -> None:
    assert shown(text) == text


def test_marks_stay_where_scripts_need_them_and_do_not_pile_up() -> None:
    for text in ("ที่นี้ नमस्ते", "⚠\ufe0f", "e" + "\u0301" * 4):
        assert shown(text) == text
    assert shown("e" + "\u0301" * 6) == "e" + "\u0301" * 4 + r"\u0301\u0301"


@pytest.mark.parametrize("character", NASTY)
def test_unsafe_characters_become_escapes(character: str) -> None:
    assert shown(f"a{character}b") == "a" + character.encode("unicode_escape").decode() + "b"


@given(ANY, ANY, ANY)
def test_errors_are_safe_to_show_even_after_pickling(message: str, request_id: str, model: str) -> None:
    for error in (
        StatusError(message, status=500, request_id=request_id, model=model, server_message=message),
        StreamServerError(message, request_id=request_id, model=model, url=message),
    ):
        error.message += message
        for each in (error, pickle.loads(pickle.dumps(error))):
            assert all(map(is_safe, (*str(each).split("\n  "), repr(each), each.message, each.args[0])))
            assert len(str(each)) < MAX_MESSAGE + 1000


def test_attributes_keep_the_servers_words_unchanged() -> None:
    error = StatusError("HTTP 500: \x1b[2J", status=500, server_message="\x1b[2J", body=b"\x1b[2J")
    assert (error.server_message, error.body) == ("\x1b[2J", b"\x1b[2J")


def test_a_long_message_is_cut() -> None:
    assert len(StatusError("x" * 10**6, status=500).message) == MAX_MESSAGE + 1
