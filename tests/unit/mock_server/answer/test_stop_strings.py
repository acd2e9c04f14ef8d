from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.answer.stop_strings import StopStrings

letters = st.text(alphabet="ab", max_size=30)
stops = st.lists(st.text(alphabet="ab", min_size=1, max_size=4), min_size=1, max_size=4)


def reference(text: str, strings: list[str]) -> tuple[str, str | None]:
    """Letter by letter: the first string that is complete, of those the longest."""
    for end in range(1, len(text) + 1):
        complete = [string for string in strings if text[:end].endswith(string)]
        if complete:
            longest = max(complete, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(letters, stops, st.lists(st.integers(min_value=1, max_value=5), min_size=1))
def test_a_stop_string_is_found_however_the_text_is_split(text: str, strings: list[str], sizes: list[int]) -> None:
    watcher = StopStrings(strings)
    shown, at, turn = "", 0, 0
    while at < len(text) and watcher.matched is None:
        size = sizes[turn % len(sizes)]
        shown += watcher.push(text[at : at + size])
        at, turn = at + size, turn + 1
    if watcher.matched is None:
        shown += watcher.flush()
    assert (shown, watcher.matched) == reference(text, strings)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["hel", "lo ", "<en", "d> more"], ["hel", "lo ", "", ""]),
        (["a <", "b"], ["a ", "<b"]),
        (["x<end>y"], ["x"]),
    ],
)
def test_text_that_may_become_a_stop_string_is_held_back(pieces: list[str], shown: list[str]) -> None:
    watcher = StopStrings(["<end>"])
    assert [watcher.push(piece) for piece in pieces] == shown


def test_text_held_back_is_returned_at_the_end() -> None:
    watcher = StopStrings(["<end>"])
    assert watcher.push("a<e") == "a"
    assert watcher.flush() == "<e"
    assert watcher.flush() == ""


def test_each_character_held_back_is_read_only_once() -> None:
    """What is held back is all of the text; each piece is a word of it."""
    text = "word " * 20_000
    watcher = StopStrings([text + "!", "w" * 1_000, " word" * 200 + "?"])
    began = time.thread_time()
    shown = "".join(watcher.push("word ") for _ in range(20_000)) + watcher.flush()
    assert shown == text
    assert time.thread_time() - began < 5  # of processor time; some hundredths
